"""The store put together from settings, for `app` and its commands: database, keys.

What `app` is for everything, this is for what outlives a restart. Knows nothing of HTTP or models.
"""

import asyncio
import hashlib
import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from homeport.domain.errors import HomeportError, Missing, Unavailable
from homeport.domain.keys import Issued, Key, Wanted
from homeport.domain.storage import Stored
from homeport.domain.usage import Question, Sum
from homeport.serving.background_loops import Supervisor
from homeport.serving.rate_limits import Quotas
from homeport.settings import Settings
from homeport.store import migration
from homeport.store.batches import BatchBook
from homeport.store.blobs import Blobs
from homeport.store.database import Database
from homeport.store.files import FileBook
from homeport.store.fine_tuning import FineTuneBook
from homeport.store.key_cache import KeyRing
from homeport.store.key_marker import Seal
from homeport.store.keys import KeyBook, server_secret
from homeport.store.project_storage import Sizes, Storage
from homeport.store.training_queue import TrainingLog
from homeport.store.uploads import UploadBook
from homeport.store.usage import UsageBook
from homeport.store.usage_ledger import Ledger

_FILE = "homeport.db"
_SEAL = "keys"
_KEYS_S = 0.5  # a revoked key opens nothing soon after
_FOLD_S = 5.0
_SWEEP_S = 60.0

_log = logging.getLogger("homeport.usage")


class Accounts:
    """What a running server keeps open: the database, its keys and what they have taken, and the ledger of usage.

    `pictures` and `models`: what each project keeps of these, in bytes.
    """

    def __init__(self, settings: Settings, pictures: Sizes = dict, models: Sizes = dict) -> None:
        self.database = Database(database_url(settings))
        with ExitStack() as undo:
            undo.callback(self.database.close)
            migration.ready(self.database)
            secret, self.book = _open_keys(settings, self.database)
            self.ring = KeyRing(self.book, secret)
            self.ring.load()
            self._mark(_seal(settings), settings)
            folder = ledgers(settings)
            self.usage = UsageBook(self.database, folder)
            self.usage.fold()
            blobs = Blobs(settings.blobs or str(settings.home / "blobs"))
            self.storage = Storage(self.database, settings.project_storage_bytes, pictures, models)
            self.files = FileBook(self.database, blobs, storage=self.storage)
            self.uploads = UploadBook(self.database, blobs, self.files)
            self.batches = BatchBook(self.database, self.files)
            self.fine_tunes = FineTuneBook(self.database)
            self.training_log = TrainingLog(self.database, self.files)
            self.quotas = Quotas()
            for key, of_day, of_month in self.usage.spent_by_key():
                self.quotas.seed(key, of_day, of_month)
            self.ledger = Ledger(folder)
            undo.pop_all()

    def _mark(self, seal: Seal, settings: Settings) -> None:
        """Have a second place say whether there are keys, for the next start."""
        if self.ring.is_closed:
            seal.set()
        elif settings.accept_lost_keys:
            seal.remove()
        elif seal.is_set:
            logging.getLogger("homeport.keys").warning(
                "the database %s has held keys and holds none now: only keys from the settings are accepted",
                self.database,
            )

    def start(self, loops: Supervisor) -> None:
        """Begin to watch the keys, to take in usage, and to delete what has expired."""
        loops.start("keys", self.ring.refresh, _KEYS_S)
        loops.start("usage", partial(asyncio.to_thread, self.usage.fold), _FOLD_S)
        loops.start("uploads", partial(asyncio.to_thread, self.uploads.sweep), _SWEEP_S)
        loops.start("files", partial(asyncio.to_thread, self.files.sweep), _SWEEP_S)

    def close(self) -> None:
        """Take in the last usage, and give everything back."""
        self.ledger.close()
        try:
            self.usage.fold()
        except HomeportError as error:
            _log.warning("the last usage is left for the next start: %s", error)
        self.database.close()


def ledgers(settings: Settings) -> Path:
    """The folder of this database's ledgers."""
    return beside(settings, "usage")


def beside(settings: Settings, what: str) -> Path:
    """A folder that belongs to this database: one for each, so that none gets another's."""
    path = sqlite_path(settings)
    if path is not None:
        return path.with_suffix(f".{what}")
    place = Database.name(database_url(settings))
    return settings.home / f"{what}-{hashlib.sha256(place.encode()).hexdigest()[:12]}"


def usage(settings: Settings, question: Question) -> Sequence[Sum]:
    """Sum up what was used until now, also what a running server has only just written down."""
    with _database(settings) as database:
        migration.ready(database)
        book = UsageBook(database, ledgers(settings))
        book.fold()
        return book.sums(question)


def storage(settings: Settings, pictures: Sizes = dict, models: Sizes = dict) -> Sequence[Stored]:
    """What every project keeps."""
    with _database(settings) as database:
        migration.ready(database)
        return Storage(database, settings.project_storage_bytes, pictures, models).every()


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
    with _database(settings) as database:
        if migration.revision(database) is None:
            return False
        migration.ready(database)
        return KeyBook(database, b"").revision() > 0


def check_kept(settings: Settings) -> None:
    """Refuse to start without keys if keys were required before. Raises Unavailable, before any file is created."""
    if settings.api_keys or settings.accept_lost_keys or not _seal(settings).is_set or has_keys(settings):
        return
    raise Unavailable(
        f"The database {Database.name(database_url(settings))} has held keys and is lost or empty, so that anybody "
        "could use the server: restore a copy of it, or set HOMEPORT_ACCEPT_LOST_KEYS=1 to start without its keys."
    )


def create_key(settings: Settings, wanted: Wanted) -> Issued:
    """Make a key; its `models` are real names. Raises InvalidRequest."""
    with _book(settings) as book:
        return book.create(wanted)


def keys(settings: Settings) -> Sequence[Key]:
    """List all keys, the oldest first."""
    with _book(settings) as book:
        return book.every()


def show_key(settings: Settings, key: str) -> Key:
    """Find one key by its id, or by its name if only one that opens something has it. Raises Missing."""
    with _book(settings) as book:
        return _named(book, key)


def revoke_key(settings: Settings, key: str) -> Key:
    """Have a key open nothing any more. Raises Missing."""
    with _book(settings) as book:
        return book.revoke(_named(book, key).id)


def rotate_key(settings: Settings, key: str) -> Issued:
    """Give a key a new secret. Raises Missing, or InvalidRequest for one that is revoked."""
    with _book(settings) as book:
        return book.rotate(_named(book, key).id)


def upgrade_database(settings: Settings) -> str:
    """Bring the database to today's schema; give what was done."""
    with _database(settings) as database:
        was, now = migration.upgrade(database)
        return f"{database} is at {now}" + ("" if was == now else f" (was at {was})" if was else " (new)")


def check_database(settings: Settings) -> tuple[str, Sequence[str]]:
    """Look the database over; give its place and what is wrong with it."""
    with _database(settings) as database:
        return str(database), migration.faults(database)


def backup_database(settings: Settings, target: Path) -> int:
    """Copy the database, also one in use, to a new file; give its size. Raises InvalidRequest, StorageFull."""
    with _database(settings) as database:
        return migration.backup(database, target)


@contextmanager
def _database(settings: Settings) -> Iterator[Database]:
    database = Database(database_url(settings))
    try:
        yield database
    finally:
        database.close()


@contextmanager
def _book(settings: Settings) -> Iterator[KeyBook]:
    with _database(settings) as database:
        migration.ready(database)
        yield _open_keys(settings, database)[1]


def _open_keys(settings: Settings, database: Database) -> tuple[bytes, KeyBook]:
    """The secret of a database's keys, and the keys. Raises Unavailable where they were made with one that is gone."""
    is_in_use = KeyBook(database, b"").revision() > 0
    secret = server_secret(settings.home, is_in_use=is_in_use and not settings.accept_lost_keys)
    return secret, KeyBook(database, secret, seal=_seal(settings))


def _seal(settings: Settings) -> Seal:
    return Seal(beside(settings, _SEAL))


def _named(book: KeyBook, key: str) -> Key:
    every = book.every()
    for each in every:
        if each.id == key:
            return each
    named = [each for each in every if each.name == key and each.revoked_at is None]
    if len(named) == 1:
        return named[0]
    why = "several have this name: say its id" if named else "`homeport keys list` lists them"
    raise Missing(f"No key is called {key} ({why}).", code="key_not_found")
