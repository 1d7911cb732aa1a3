"""Everything that outlives a restart, built from the settings: database, keys, usage, files, images.

Knows nothing of HTTP.
"""

import asyncio
import hashlib
import hmac
import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from homeport.app.models import fine_tuned_sizes
from homeport.domain.errors import HomeportError, Unavailable
from homeport.serving.background_loops import BackgroundLoops
from homeport.serving.rate_limits import RateLimiter
from homeport.settings import Settings
from homeport.store import migration
from homeport.store.batches import SqlBatchRepository
from homeport.store.blobs import BlobStore
from homeport.store.completions import SqlCompletionRepository
from homeport.store.conversations import SqlConversationRepository
from homeport.store.database import Database
from homeport.store.files import SqlFileRepository
from homeport.store.fine_tuning import SqlFineTuningRepository
from homeport.store.images import ImageFolder
from homeport.store.indexing_queue import SqlIndexingQueue
from homeport.store.key_cache import SqlKeyCache
from homeport.store.key_marker import KeyMarker
from homeport.store.keys import SqlKeyRepository, server_secret
from homeport.store.project_storage import SqlProjectStorage
from homeport.store.responses import SqlResponseRepository
from homeport.store.training_queue import SqlTrainingQueue
from homeport.store.transcripts import SqlTranscriptRepository
from homeport.store.uploads import SqlUploadRepository
from homeport.store.usage import SqlUsageRepository
from homeport.store.usage_ledger import FileUsageLedger
from homeport.store.vector_search import SqlVectorSearch
from homeport.store.vector_store_files import SqlStoreFileRepository
from homeport.store.vector_stores import SqlVectorStoreRepository

_DATABASE_FILE = "homeport.db"
_IMAGES_FOLDER = "pictures"
_BLOBS_FOLDER = "blobs"
_INDEX_FOLDER = "vector-index"
_MARKER_SUFFIX = "keys"
_KEY_REFRESH_INTERVAL_S = 0.5  # a revoked key is refused soon after
_USAGE_IMPORT_INTERVAL_S = 5.0
_SWEEP_INTERVAL_S = 60.0

_log = logging.getLogger("homeport.usage")


class Storage:
    """What a running server keeps open: the database and its repositories, the usage ledger, the image folder.

    Raises Unavailable if the database cannot be used.
    """

    def __init__(self, settings: Settings) -> None:
        self.images = image_folder(settings)
        self.database = Database(database_url(settings))
        with ExitStack() as undo:
            undo.callback(self.database.close)
            migration.prepare_database(self.database)
            secret, self.keys = open_keys(settings, self.database)
            self.key_cache = SqlKeyCache(self.keys, secret)
            self.key_cache.load()
            self._update_key_marker(settings)
            ledger_folder = usage_folder(settings)
            self.usage = SqlUsageRepository(self.database, ledger_folder)
            self.usage.import_ledgers()
            blobs = BlobStore(settings.blobs or str(settings.home / _BLOBS_FOLDER))
            self.project_storage = project_storage(settings, self.database, self.images)
            self.images.check = partial(self.project_storage.check, param=None)
            self.files = SqlFileRepository(self.database, blobs, storage=self.project_storage)
            self.uploads = SqlUploadRepository(self.database, blobs, self.files)
            self.batches = SqlBatchRepository(self.database, self.files)
            self.vector_stores = SqlVectorStoreRepository(self.database, self.project_storage)
            self.store_files = SqlStoreFileRepository(self.database, self.project_storage)
            self.indexing_queue = SqlIndexingQueue(self.database, self.project_storage)
            self.vector_search = SqlVectorSearch(self.database, settings.home / _INDEX_FOLDER)
            self.responses = SqlResponseRepository(self.database, self.project_storage)
            self.conversations = SqlConversationRepository(self.database, self.project_storage)
            self.completions = SqlCompletionRepository(self.database, self.project_storage)
            self.transcripts = SqlTranscriptRepository(self.database)
            self.sealing_secret = hmac.digest(secret, b"sealed texts of responses", "sha256")
            self.fine_tuning_jobs = SqlFineTuningRepository(self.database)
            self.training_queue = SqlTrainingQueue(self.database, self.files)
            self.rate_limiter = RateLimiter()
            for key, of_day, of_month in self.usage.tokens_by_key():
                self.rate_limiter.seed(key, of_day, of_month)
            self.usage_ledger = FileUsageLedger(ledger_folder)
            undo.pop_all()

    def start(self, loops: BackgroundLoops) -> None:
        """Start to poll the keys, to import usage, and to delete what has expired."""
        loops.start("keys", self.key_cache.refresh, _KEY_REFRESH_INTERVAL_S)
        loops.start("usage", partial(asyncio.to_thread, self.usage.import_ledgers), _USAGE_IMPORT_INTERVAL_S)
        loops.start("uploads", partial(asyncio.to_thread, self.uploads.sweep), _SWEEP_INTERVAL_S)
        loops.start("files", partial(asyncio.to_thread, self.files.sweep), _SWEEP_INTERVAL_S)
        loops.start("responses", partial(asyncio.to_thread, self.responses.sweep), _SWEEP_INTERVAL_S)
        loops.start("vector_stores", partial(asyncio.to_thread, self.vector_stores.sweep), _SWEEP_INTERVAL_S)
        loops.start("completions", partial(asyncio.to_thread, self.completions.sweep), _SWEEP_INTERVAL_S)
        loops.start("transcripts", partial(asyncio.to_thread, self.transcripts.sweep), _SWEEP_INTERVAL_S)
        loops.start("pictures", partial(asyncio.to_thread, self.images.sweep), _SWEEP_INTERVAL_S)

    def close(self) -> None:
        """Import the last usage, delete expired images, and close the database."""
        self.usage_ledger.close()
        try:
            self.usage.import_ledgers()
        except HomeportError as error:
            _log.warning("cannot import the last usage, the next start will retry: %s", error)
        self.database.close()
        self.images.sweep()

    def _update_key_marker(self, settings: Settings) -> None:
        """Record outside the database that keys exist, for the next start."""
        marker = _key_marker(settings)
        if self.key_cache.requires_key:
            marker.set()
        elif settings.accept_lost_keys:
            marker.remove()
        elif marker.is_set:
            logging.getLogger("homeport.keys").warning(
                "the database %s has held keys and holds none now: only keys from the settings are accepted",
                self.database,
            )


def image_folder(settings: Settings) -> ImageFolder:
    """The images that answers name by URL."""
    return ImageFolder(settings.home / _IMAGES_FOLDER, settings.picture_url_s)


def project_storage(settings: Settings, database: Database, images: ImageFolder) -> SqlProjectStorage:
    """How much each project stores: in the database, as images and as fine-tuned models."""
    models = partial(fine_tuned_sizes, settings)
    return SqlProjectStorage(database, settings.project_storage_bytes, images.sizes, models)


def usage_folder(settings: Settings) -> Path:
    """The folder of this database's usage ledgers."""
    return data_folder(settings, "usage")


def data_folder(settings: Settings, suffix: str) -> Path:
    """A folder of this database. Each database has its own, so that none reads another's."""
    path = sqlite_path(settings)
    if path is not None:
        return path.with_suffix(f".{suffix}")
    name = Database.name(database_url(settings))
    return settings.home / f"{suffix}-{hashlib.sha256(name.encode()).hexdigest()[:12]}"


def database_url(settings: Settings) -> str:
    """The URL of the database."""
    return settings.database_url or f"sqlite:///{settings.home / _DATABASE_FILE}"


def sqlite_path(settings: Settings) -> Path | None:
    """The database's file; None if the database is not SQLite."""
    name = Database.name(database_url(settings))
    file = name.removeprefix("sqlite:///")
    return Path(file) if file != name else None


def has_keys(settings: Settings) -> bool:
    """Whether a key was ever stored. Creates no database."""
    path = sqlite_path(settings)
    if path is not None and not path.exists():
        return False
    with open_database(settings) as database:
        if migration.revision(database) is None:
            return False
        migration.prepare_database(database)
        return SqlKeyRepository(database, b"").revision() > 0


def check_keys_not_lost(settings: Settings) -> None:
    """Refuse to start without keys if keys were required before. Raises Unavailable, before any file is created."""
    if settings.api_keys or settings.accept_lost_keys or not _key_marker(settings).is_set or has_keys(settings):
        return
    raise Unavailable(
        f"The database {Database.name(database_url(settings))} has held keys and is lost or empty, so anyone could use "
        "the server: restore a backup, or set HOMEPORT_ACCEPT_LOST_KEYS=1 to start without its keys."
    )


@contextmanager
def open_database(settings: Settings) -> Iterator[Database]:
    """Open the database, and close it at the end of the context."""
    database = Database(database_url(settings))
    try:
        yield database
    finally:
        database.close()


def open_keys(settings: Settings, database: Database) -> tuple[bytes, SqlKeyRepository]:
    """The secret of a database's keys, and the keys. Raises Unavailable if the secret of existing keys is lost."""
    is_in_use = SqlKeyRepository(database, b"").revision() > 0
    secret = server_secret(settings.home, is_in_use=is_in_use and not settings.accept_lost_keys)
    return secret, SqlKeyRepository(database, secret, marker=_key_marker(settings))


def _key_marker(settings: Settings) -> KeyMarker:
    return KeyMarker(data_folder(settings, _MARKER_SUFFIX))
