"""The store put together from settings, for `app` and its commands: database, keys.

What `app` is for everything, this is for what outlives a restart. Knows nothing of HTTP or models.
"""

import asyncio
import hashlib
import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from homeport.domain.errors import HomeportError, Unavailable
from homeport.serving.background_loops import BackgroundLoops
from homeport.serving.rate_limits import RateLimiter
from homeport.settings import Settings
from homeport.store import migration
from homeport.store.batches import SqlBatchRepository
from homeport.store.blobs import BlobStore
from homeport.store.database import Database
from homeport.store.files import SqlFileRepository
from homeport.store.fine_tuning import SqlFineTuningRepository
from homeport.store.key_cache import SqlKeyCache
from homeport.store.key_marker import KeyMarker
from homeport.store.keys import SqlKeyRepository, server_secret
from homeport.store.project_storage import Sizes, SqlProjectStorage
from homeport.store.training_queue import SqlTrainingQueue
from homeport.store.uploads import SqlUploadRepository
from homeport.store.usage import SqlUsageRepository
from homeport.store.usage_ledger import FileUsageLedger

_FILE = "homeport.db"
_SEAL = "keys"
_KEYS_S = 0.5  # a revoked key opens nothing soon after
_USAGE_IMPORT_INTERVAL_S = 5.0
_SWEEP_S = 60.0

_log = logging.getLogger("homeport.usage")


class Storage:
    """What a running server keeps open: the database, its keys and what they have taken, and the ledger of usage.

    `pictures` and `models`: what each project keeps of these, in bytes.
    """

    def __init__(self, settings: Settings, pictures: Sizes = dict, models: Sizes = dict) -> None:
        self.database = Database(database_url(settings))
        with ExitStack() as undo:
            undo.callback(self.database.close)
            migration.prepare_database(self.database)
            secret, self.keys = _open_keys(settings, self.database)
            self.key_cache = SqlKeyCache(self.keys, secret)
            self.key_cache.load()
            self._mark(_seal(settings), settings)
            folder = usage_folder(settings)
            self.usage = SqlUsageRepository(self.database, folder)
            self.usage.import_ledgers()
            blobs = BlobStore(settings.blobs or str(settings.home / "blobs"))
            self.storage = SqlProjectStorage(self.database, settings.project_storage_bytes, pictures, models)
            self.files = SqlFileRepository(self.database, blobs, storage=self.storage)
            self.uploads = SqlUploadRepository(self.database, blobs, self.files)
            self.batches = SqlBatchRepository(self.database, self.files)
            self.fine_tuning_jobs = SqlFineTuningRepository(self.database)
            self.training_queue = SqlTrainingQueue(self.database, self.files)
            self.rate_limiter = RateLimiter()
            for key, of_day, of_month in self.usage.tokens_by_key():
                self.rate_limiter.seed(key, of_day, of_month)
            self.usage_ledger = FileUsageLedger(folder)
            undo.pop_all()

    def _mark(self, seal: KeyMarker, settings: Settings) -> None:
        """Have a second place say whether there are keys, for the next start."""
        if self.key_cache.requires_key:
            seal.set()
        elif settings.accept_lost_keys:
            seal.remove()
        elif seal.is_set:
            logging.getLogger("homeport.keys").warning(
                "the database %s has held keys and holds none now: only keys from the settings are accepted",
                self.database,
            )

    def start(self, loops: BackgroundLoops) -> None:
        """Begin to watch the keys, to take in usage, and to delete what has expired."""
        loops.start("keys", self.key_cache.refresh, _KEYS_S)
        loops.start("usage", partial(asyncio.to_thread, self.usage.import_ledgers), _USAGE_IMPORT_INTERVAL_S)
        loops.start("uploads", partial(asyncio.to_thread, self.uploads.sweep), _SWEEP_S)
        loops.start("files", partial(asyncio.to_thread, self.files.sweep), _SWEEP_S)

    def close(self) -> None:
        """Take in the last usage, and give everything back."""
        self.usage_ledger.close()
        try:
            self.usage.import_ledgers()
        except HomeportError as error:
            _log.warning("the last usage is left for the next start: %s", error)
        self.database.close()


def usage_folder(settings: Settings) -> Path:
    """The folder of this database's ledgers."""
    return data_folder(settings, "usage")


def data_folder(settings: Settings, suffix: str) -> Path:
    """A folder that belongs to this database: one for each, so that none gets another's."""
    path = sqlite_path(settings)
    if path is not None:
        return path.with_suffix(f".{suffix}")
    place = Database.name(database_url(settings))
    return settings.home / f"{suffix}-{hashlib.sha256(place.encode()).hexdigest()[:12]}"


def database_url(settings: Settings) -> str:
    """Where the database is."""
    return settings.database_url or f"sqlite:///{settings.home / _FILE}"


def sqlite_path(settings: Settings) -> Path | None:
    """The database's file; None where it is none."""
    place = Database.name(database_url(settings))
    file = place.removeprefix("sqlite:///")
    return Path(file) if file != place else None


def has_keys(settings: Settings) -> bool:
    """Whether a key was ever stored. Makes no database."""
    path = sqlite_path(settings)
    if path is not None and not path.exists():
        return False
    with open_database(settings) as database:
        if migration.revision(database) is None:
            return False
        migration.prepare_database(database)
        return SqlKeyRepository(database, b"").revision() > 0


def check_kept(settings: Settings) -> None:
    """Refuse to start without keys if keys were required before. Raises Unavailable, before any file is created."""
    if settings.api_keys or settings.accept_lost_keys or not _seal(settings).is_set or has_keys(settings):
        return
    raise Unavailable(
        f"The database {Database.name(database_url(settings))} has held keys and is lost or empty, so that anybody "
        "could use the server: restore a copy of it, or set HOMEPORT_ACCEPT_LOST_KEYS=1 to start without its keys."
    )


@contextmanager
def open_database(settings: Settings) -> Iterator[Database]:
    """Open the database of the settings for as long as the context lasts."""
    database = Database(database_url(settings))
    try:
        yield database
    finally:
        database.close()


def _open_keys(settings: Settings, database: Database) -> tuple[bytes, SqlKeyRepository]:
    """The secret of a database's keys, and the keys. Raises Unavailable where they were made with one that is gone."""
    is_in_use = SqlKeyRepository(database, b"").revision() > 0
    secret = server_secret(settings.home, is_in_use=is_in_use and not settings.accept_lost_keys)
    return secret, SqlKeyRepository(database, secret, seal=_seal(settings))


def _seal(settings: Settings) -> KeyMarker:
    return KeyMarker(data_folder(settings, _SEAL))
