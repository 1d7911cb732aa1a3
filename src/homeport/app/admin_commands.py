"""The operator's commands on keys, usage and the database."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from homeport.app.storage import _open_keys, open_database, usage_folder
from homeport.domain.errors import NotFound
from homeport.domain.keys import IssuedKey, Key, NewKey
from homeport.domain.storage import ProjectUsage
from homeport.domain.usage import UsageQuery, UsageTotal
from homeport.settings import Settings
from homeport.store import migration
from homeport.store.keys import SqlKeyRepository
from homeport.store.project_storage import Sizes, SqlProjectStorage
from homeport.store.usage import SqlUsageRepository


def sum_usage(settings: Settings, usage_query: UsageQuery) -> Sequence[UsageTotal]:
    """Sum up what was used until now, also what a running server has only just written down."""
    with open_database(settings) as database:
        migration.prepare_database(database)
        book = SqlUsageRepository(database, usage_folder(settings))
        book.import_ledgers()
        return book.sum_usage(usage_query)


def list_project_storage(settings: Settings, pictures: Sizes = dict, models: Sizes = dict) -> Sequence[ProjectUsage]:
    """What every project keeps."""
    with open_database(settings) as database:
        migration.prepare_database(database)
        return SqlProjectStorage(database, settings.project_storage_bytes, pictures, models).every()


def create_key(settings: Settings, new_key: NewKey) -> IssuedKey:
    """Make a key; its `models` are real names. Raises InvalidRequest."""
    with _key_repository(settings) as book:
        return book.create(new_key)


def list_keys(settings: Settings) -> Sequence[Key]:
    """List all keys, the oldest first."""
    with _key_repository(settings) as book:
        return book.list_all()


def get_key(settings: Settings, key: str) -> Key:
    """Find one key by its id, or by its name if only one that opens something has it. Raises NotFound."""
    with _key_repository(settings) as book:
        return _find_key(book, key)


def revoke_key(settings: Settings, key: str) -> Key:
    """Have a key open nothing any more. Raises NotFound."""
    with _key_repository(settings) as book:
        return book.revoke(_find_key(book, key).id)


def rotate_key(settings: Settings, key: str) -> IssuedKey:
    """Give a key a new secret. Raises NotFound, or InvalidRequest for one that is revoked."""
    with _key_repository(settings) as book:
        return book.rotate(_find_key(book, key).id)


def upgrade_database(settings: Settings) -> str:
    """Bring the database to today's schema; give what was done."""
    with open_database(settings) as database:
        was, now = migration.upgrade(database)
        return f"{database} is at {now}" + ("" if was == now else f" (was at {was})" if was else " (new)")


def check_database(settings: Settings) -> tuple[str, Sequence[str]]:
    """Look the database over; give its place and what is wrong with it."""
    with open_database(settings) as database:
        return str(database), migration.find_faults(database)


def backup_database(settings: Settings, target: Path) -> int:
    """Copy the database, also one in use, to a new file; give its size. Raises InvalidRequest, StorageFull."""
    with open_database(settings) as database:
        return migration.backup(database, target)


@contextmanager
def _key_repository(settings: Settings) -> Iterator[SqlKeyRepository]:
    with open_database(settings) as database:
        migration.prepare_database(database)
        yield _open_keys(settings, database)[1]


def _find_key(book: SqlKeyRepository, key: str) -> Key:
    every = book.list_all()
    for each in every:
        if each.id == key:
            return each
    named = [each for each in every if each.name == key and each.revoked_at is None]
    if len(named) == 1:
        return named[0]
    why = "several have this name: say its id" if named else "`homeport keys list` lists them"
    raise NotFound(f"No key is called {key} ({why}).", code="key_not_found")
