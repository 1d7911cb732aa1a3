"""Lost keys, on SQLite and PostgreSQL: a server that had keys does not start as if there were none."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from homeport.app import admin_commands, storage
from homeport.app.storage import Storage
from homeport.domain.errors import Unavailable
from homeport.domain.keys import NewKey
from homeport.settings import Settings
from homeport.store import migration
from homeport.store.database import Database
from homeport.store.key_cache import SqlKeyCache
from homeport.store.key_marker import KeyMarker
from homeport.store.keys import SqlKeyRepository
from homeport.store.pgvector import VECTORS
from homeport.store.schema import METADATA


@pytest.fixture
def settings(database: Database, tmp_path: Path) -> Settings:
    """The settings of a home on a database with the current tables."""
    return Settings(home=tmp_path / "home", database_url=database.url.render_as_string(hide_password=False))


def _lose(database: Database) -> None:
    """Replace the database by an empty one."""
    with database.write_transaction() as connection:
        VECTORS.drop(connection, checkfirst=True)
        METADATA.drop_all(connection)
        connection.exec_driver_sql("DROP TABLE alembic_version")
    migration.upgrade(database)


def test_a_lost_database_stops_the_start(settings: Settings, database: Database) -> None:
    """Once a key was created, an empty database is refused by name, until the operator accepts the loss."""
    storage.check_keys_not_lost(settings)
    admin_commands.create_key(settings, NewKey(name="bot"))
    storage.check_keys_not_lost(settings)
    _lose(database)
    with pytest.raises(Unavailable, match="HOMEPORT_ACCEPT_LOST_KEYS") as refused:
        storage.check_keys_not_lost(settings)
    assert Database.name(str(settings.database_url)) in refused.value.message
    accepted = Settings(home=settings.home, database_url=settings.database_url, accept_lost_keys=True)
    storage.check_keys_not_lost(accepted)
    Storage(accepted).close()
    storage.check_keys_not_lost(settings)


def test_a_server_with_keys_in_its_settings_starts(settings: Settings, database: Database) -> None:
    """If the settings have keys, a server that has lost the stored ones starts."""
    admin_commands.create_key(settings, NewKey(name="bot"))
    _lose(database)
    storage.check_keys_not_lost(Settings(home=settings.home, database_url=settings.database_url, api_keys=("k",)))


def test_a_server_notes_keys_that_older_versions_made(settings: Settings, database: Database) -> None:
    """A server records that its database has keys."""
    SqlKeyRepository(database, b"s" * 32).create(NewKey(name="bot"))
    (settings.home).mkdir()
    (settings.home / "key-secret").write_bytes(b"s" * 32)
    Storage(settings).close()
    _lose(database)
    with pytest.raises(Unavailable, match="has held keys"):
        storage.check_keys_not_lost(settings)


@pytest.mark.parametrize("is_empty", [True, False])
def test_a_lost_file_is_noticed_and_not_created_again(tmp_path: Path, is_empty: bool) -> None:
    """If `homeport.db` is deleted or empty, the start is refused and creates no new one."""
    settings = Settings(home=tmp_path)
    admin_commands.create_key(settings, NewKey(name="bot"))
    for path in tmp_path.glob("homeport.db*"):
        path.unlink()
    if is_empty:
        (tmp_path / "homeport.db").touch()
    with pytest.raises(Unavailable, match="has held keys"):
        storage.check_keys_not_lost(settings)
    assert (tmp_path / "homeport.db").exists() == is_empty


def test_a_lost_secret_stops_the_start(settings: Settings) -> None:
    """Without the secret of the stored keys no key is valid: the message names the file, which is not replaced."""
    admin_commands.create_key(settings, NewKey(name="bot"))
    secret = settings.home / "key-secret"
    kept = secret.read_bytes()
    secret.unlink()
    for start in (lambda: Storage(settings), lambda: admin_commands.list_keys(settings)):
        with pytest.raises(Unavailable, match="key-secret is lost"):
            start()
    assert not secret.exists()
    accepted = Settings(home=settings.home, database_url=settings.database_url, accept_lost_keys=True)
    opened = Storage(accepted)
    assert opened.key_cache.requires_key
    opened.close()
    assert secret.read_bytes() != kept


def test_a_running_server_stays_closed(settings: Settings, database: Database) -> None:
    """If an empty database replaces one under a running server, every request still needs a key."""
    admin_commands.create_key(settings, NewKey(name="bot"))
    cache = SqlKeyCache(SqlKeyRepository(database, b"s" * 32), b"s" * 32)
    cache.load()
    assert cache.requires_key
    _lose(database)
    cache.load()
    assert cache.requires_key


def test_no_key_is_made_that_cannot_be_noted(tmp_path: Path, database: Database) -> None:
    """If the marker cannot be written, the key is not created, and the error names the file."""
    (tmp_path / "file").touch()
    repository = SqlKeyRepository(database, b"s" * 32, marker=KeyMarker(tmp_path / "file" / "keys"))
    with pytest.raises(Unavailable, match="file"):
        repository.create(NewKey(name="bot"))
    assert repository.revision() == 0
    with database.read_transaction() as connection:
        assert sa.inspect(connection).has_table("keys")
