"""Keys in the database: made, listed, revoked, rotated. Of a secret only a keyed hash is kept.

Knows nothing of who shows one: `ring` does. Every change counts up a revision, by which other processes see it.
"""

import hashlib
import re
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import msgspec
import sqlalchemy as sa

from homeport.domain.errors import InvalidRequest, NotFound, Unavailable
from homeport.domain.keys import IssuedKey, Key, NewKey
from homeport.domain.security import mask_secret
from homeport.formats import atomic, durable_files
from homeport.store import rows
from homeport.store.database import Database
from homeport.store.key_marker import KeyMarker
from homeport.store.schema import KEYS, PROJECTS, REVISIONS

_SECRET_BYTES = 32
_PROJECT = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_NAME_LENGTH = 256
_MAX_LIMIT = 2**53
_PREFIX = "sk-"
_WRITTEN = ("models", "limits")  # what stands in the table as JSON


def server_secret(home: Path, *, is_in_use: bool = False) -> bytes:
    """The secret that keys are hashed with, made when first needed and readable by this user alone.

    A stolen database is worth nothing without it. `is_in_use`: keys have been made with it, so that a new one would be
    worth nothing either. Raises Unavailable.
    """
    path = home / "key-secret"
    try:
        if not path.exists():
            if is_in_use:
                raise Unavailable(
                    f"The secret {path} is lost, and the stored keys were made with it: restore a copy of it, or set "
                    f"HOMEPORT_ACCEPT_LOST_KEYS=1 to create a new one, with which no key works until it is rotated."
                )
            _make_secret(path)
        found = path.read_bytes()
    except OSError as error:
        raise Unavailable(f"The secret {path} cannot be used: {error.strerror}.") from error
    if len(found) != _SECRET_BYTES:
        raise Unavailable(f"The secret {path} is broken: put back a copy of it, or make new keys without it.")
    return found


def _make_secret(path: Path) -> None:
    durable_files.make_folder(path.parent)
    atomic.create_file(path, secrets.token_bytes(_SECRET_BYTES))


def digest(secret: bytes, key: str) -> str:
    """What is kept of a key."""
    return hashlib.blake2b(key.encode("utf-8", "surrogateescape"), key=secret, digest_size=32).hexdigest()


class SqlKeyRepository:
    """The keys of a database. Synchronous; `now` is the wall clock in seconds, `seal` what says that there are keys."""

    def __init__(
        self, database: Database, secret: bytes, now: Callable[[], float] = time.time, seal: KeyMarker | None = None
    ) -> None:
        self._database = database
        self._seal = seal
        self._secret = secret
        self._now = now

    def create(self, new_key: NewKey) -> IssuedKey:
        """Make a key, and its project if that is new. Raises InvalidRequest naming the field."""
        _check(new_key)
        now = int(self._now())
        secret = f"{_PREFIX}{secrets.token_urlsafe(_SECRET_BYTES)}"
        key = Key(
            id=f"key_{secrets.token_hex(8)}",
            project=new_key.project,
            name=new_key.name,
            hint=mask_secret(secret),
            created_at=now,
            models=new_key.models,
            limits=new_key.limits,
            expires_at=None if new_key.expires_in_s is None else now + new_key.expires_in_s,
        )
        with self._database.write_transaction() as connection:
            known = connection.execute(sa.select(PROJECTS.c.id).where(PROJECTS.c.id == key.project)).first()
            if known is None:
                connection.execute(sa.insert(PROJECTS).values(id=key.project, created_at=now))
            connection.execute(sa.insert(KEYS).values(**_row(key), digest=digest(self._secret, secret)))
            _count(connection)
            if self._seal is not None:
                self._seal.set()  # before the key is there: none is ever without it
        return IssuedKey(key=key, secret=secret)

    def list_all(self) -> Sequence[Key]:
        """All keys, the oldest first, those that no longer open anything included; a damaged one is left out."""
        with self._database.read_transaction() as connection:
            found = connection.execute(sa.select(KEYS).order_by(KEYS.c.created_at, KEYS.c.id))
            return list(keys_of(found.mappings()))

    def get(self, key_id: str) -> Key:
        """One key. Raises NotFound."""
        with self._database.read_transaction() as connection:
            return self._find(connection, key_id)

    def revoke(self, key_id: str) -> Key:
        """Have a key open nothing from now on; twice is once. Raises NotFound."""
        with self._database.write_transaction() as connection:
            key = self._find(connection, key_id)
            if key.revoked_at is not None:
                return key
            key = msgspec.structs.replace(key, revoked_at=int(self._now()))
            connection.execute(sa.update(KEYS).where(KEYS.c.id == key_id).values(revoked_at=key.revoked_at))
            _count(connection)
            return key

    def rotate(self, key_id: str) -> IssuedKey:
        """Give a key a new secret; the old one opens nothing from now on. Raises NotFound, or InvalidRequest."""
        secret = f"{_PREFIX}{secrets.token_urlsafe(_SECRET_BYTES)}"
        with self._database.write_transaction() as connection:
            key = self._find(connection, key_id)
            if key.revoked_at is not None:
                raise InvalidRequest(f"The key {key_id} is revoked: make a new one.", code="key_revoked")
            key = msgspec.structs.replace(key, hint=mask_secret(secret), rotated_at=int(self._now()))
            changed = {"hint": key.hint, "rotated_at": key.rotated_at, "digest": digest(self._secret, secret)}
            connection.execute(sa.update(KEYS).where(KEYS.c.id == key_id).values(**changed))
            _count(connection)
        return IssuedKey(key=key, secret=secret)

    def revision(self) -> int:
        """How often keys have changed."""
        with self._database.read_transaction() as connection:
            return _revision(connection)

    def by_digest(self) -> tuple[int, dict[str, Key]]:
        """Every key that is not revoked, and the revision they are of. Whether there ever was one: revision > 0.

        A key whose row is damaged opens nothing.
        """
        with self._database.read_transaction() as connection:
            found = connection.execute(sa.select(KEYS).where(KEYS.c.revoked_at.is_(None))).mappings().all()
            digests = {str(row["id"]): row["digest"] for row in found}
            return _revision(connection), {digests[key.id]: key for key in keys_of(found)}

    def _find(self, connection: sa.Connection, key_id: str) -> Key:
        row = connection.execute(sa.select(KEYS).where(KEYS.c.id == key_id)).mappings().first()
        if row is None:
            raise NotFound(f"No key has the id {key_id[:100]}.", param="key_id", code="key_not_found")
        return rows.value(row, Key, _WRITTEN)


def keys_of(found: Iterable[sa.RowMapping]) -> Iterator[Key]:
    """Rows as keys; damaged ones are left out."""
    return rows.values(found, Key, _WRITTEN)


def _check(wanted: NewKey) -> None:
    if not 0 < len(wanted.name.strip()) <= _NAME_LENGTH:
        raise InvalidRequest(f"Invalid 'name': expected 1 to {_NAME_LENGTH} characters.", param="name")
    if not _PROJECT.fullmatch(wanted.project):
        raise InvalidRequest(
            "Invalid 'project': expected up to 64 of a-z, 0-9, '.', '_' and '-', a letter or digit first.",
            param="project",
        )
    if wanted.expires_in_s is not None and not 0 < wanted.expires_in_s <= _MAX_LIMIT:
        raise InvalidRequest(f"Invalid 'expires_in_s': expected seconds, from 1 to {_MAX_LIMIT}.", param="expires_in_s")
    for name, value in msgspec.structs.asdict(wanted.limits).items():
        if value is not None and not 0 < value <= _MAX_LIMIT:
            raise InvalidRequest(
                f"Invalid 'limits.{name}': expected a number from 1 to {_MAX_LIMIT}.", param=f"limits.{name}"
            )


def _count(connection: sa.Connection) -> None:
    changed = sa.update(REVISIONS).where(REVISIONS.c.name == "keys").values(revision=REVISIONS.c.revision + 1)
    if connection.execute(changed).rowcount == 0:
        connection.execute(sa.insert(REVISIONS).values(name="keys", revision=1))


def _revision(connection: sa.Connection) -> int:
    query = sa.select(REVISIONS.c.revision).where(REVISIONS.c.name == "keys")
    return int(connection.execute(query).scalar() or 0)


def _row(key: Key) -> dict[str, object]:
    # A limit that is not set is not written: earlier versions read no row that names a limit that they do not know.
    limits = {name: value for name, value in msgspec.structs.asdict(key.limits).items() if value is not None}
    written = {"models": key.models, "limits": limits}
    return msgspec.structs.asdict(key) | {name: msgspec.json.encode(written[name]).decode() for name in _WRITTEN}
