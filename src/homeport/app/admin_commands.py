"""The commands on keys, usage, project storage and the database, which work whether a server runs or not."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from homeport.app.models import model_registry
from homeport.app.storage import image_store, open_database, open_keys, project_storage, usage_folder
from homeport.domain.errors import NotFound
from homeport.domain.keys import IssuedKey, Key, NewKey
from homeport.domain.storage import ProjectUsage
from homeport.domain.usage import UsageQuery, UsageTotal
from homeport.settings import Settings
from homeport.store import migration
from homeport.store.database import Database
from homeport.store.keys import SqlKeyRepository
from homeport.store.pgvector import PgvectorTable
from homeport.store.usage import SqlUsageRepository


def create_key(settings: Settings, new_key: NewKey) -> IssuedKey:
    """Create a key. Its aliases are resolved now, to the models they refer to.

    Raises InvalidRequest, or ModelNotFound for a model that is not installed.
    """
    registry = model_registry(settings)
    models = tuple(dict.fromkeys(registry.resolve(name, "").served_model.facts.name for name in new_key.models))
    with _open_key_repository(settings) as keys:
        return keys.create(msgspec.structs.replace(new_key, models=models))


def list_keys(settings: Settings) -> Sequence[Key]:
    """List all keys, the oldest first."""
    with _open_key_repository(settings) as keys:
        return keys.list_all()


def get_key(settings: Settings, key: str) -> Key:
    """Find a key by its id, or by its name if exactly one key that is not revoked has it. Raises NotFound."""
    with _open_key_repository(settings) as keys:
        return _find_key(keys, key)


def revoke_key(settings: Settings, key: str) -> Key:
    """Revoke a key. Raises NotFound."""
    with _open_key_repository(settings) as keys:
        return keys.revoke(_find_key(keys, key).id)


def rotate_key(settings: Settings, key: str) -> IssuedKey:
    """Replace a key's secret. Raises NotFound, or InvalidRequest for a revoked key."""
    with _open_key_repository(settings) as keys:
        return keys.rotate(_find_key(keys, key).id)


def sum_usage(settings: Settings, usage_query: UsageQuery) -> Sequence[UsageTotal]:
    """Sum up usage, including what a running server has not yet imported into the database."""
    with _open_prepared_database(settings) as database:
        usage = SqlUsageRepository(database, usage_folder(settings))
        usage.import_ledgers()
        return usage.sum_usage(usage_query)


def list_project_storage(settings: Settings) -> Sequence[ProjectUsage]:
    """List how much each project stores, in the database and in folders."""
    with _open_prepared_database(settings) as database:
        return project_storage(settings, database, image_store(settings, database)).list_all()


def upgrade_database(settings: Settings) -> str:
    """Upgrade the database to the current schema; return a line that says what was done."""
    with open_database(settings) as database:
        before, after = migration.upgrade(database)
        change = "" if before == after else f" (was at {before})" if before else " (new)"
        extension = ", with pgvector" if PgvectorTable(database).exists() else ""
        return f"{database} is at {after}{extension}{change}"


def check_database(settings: Settings) -> tuple[str, Sequence[str]]:
    """Check the database; return its name and its faults."""
    with open_database(settings) as database:
        return str(database), migration.find_faults(database)


def backup_database(settings: Settings, target: Path) -> int:
    """Copy the database to a new file, also while a server uses it; return its size in bytes.

    Raises InvalidRequest or StorageFull.
    """
    with open_database(settings) as database:
        return migration.backup(database, target)


@contextmanager
def _open_prepared_database(settings: Settings) -> Iterator[Database]:
    with open_database(settings) as database:
        migration.prepare_database(database)
        yield database


@contextmanager
def _open_key_repository(settings: Settings) -> Iterator[SqlKeyRepository]:
    with _open_prepared_database(settings) as database:
        yield open_keys(settings, database)[1]


def _find_key(repository: SqlKeyRepository, id_or_name: str) -> Key:
    keys = repository.list_all()
    for key in keys:
        if key.id == id_or_name:
            return key
    named = [key for key in keys if key.name == id_or_name and key.revoked_at is None]
    if len(named) == 1:
        return named[0]
    hint = "several keys have this name: use the id" if named else "`homeport keys list` lists them"
    raise NotFound(f"No key is called {id_or_name} ({hint}).", code="key_not_found")
