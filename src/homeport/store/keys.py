"""Keys in the database: create, list, change, revoke and rotate. Of a secret only a keyed hash is stored.

`key_cache` finds the key of a request. Every change increments a revision, by which other processes notice it.
"""

import hashlib
import re
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import msgspec
import sqlalchemy as sa
from msgspec import UNSET

from homeport.domain.errors import InvalidRequest, NotFound, Unavailable
from homeport.domain.keys import IssuedKey, Key, KeyChanges, KeyLimits, NewKey
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
_WRITTEN = ("models", "limits")  # columns of JSON
_CHANGED = ("name", "models", "limits", "expires_at")  # what `update` may change


def server_secret(home: Path, *, is_in_use: bool = False) -> bytes:
    """Return the secret with which keys are hashed. It is created when it is first needed, for this user alone.

    A stolen database is useless without it. `is_in_use`: keys were hashed with it, so a new one would be useless too.
    Raises Unavailable.
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
        secret = path.read_bytes()
    except OSError as error:
        raise Unavailable(f"The secret {path} cannot be used: {error.strerror}.") from error
    if len(secret) != _SECRET_BYTES:
        raise Unavailable(f"The secret {path} is damaged: restore a copy of it, or delete it and create new keys.")
    return secret


def _make_secret(path: Path) -> None:
    durable_files.make_folder(path.parent)
    atomic.create_file(path, secrets.token_bytes(_SECRET_BYTES))


def digest(secret: bytes, key: str) -> str:
    """Return the digest under which a key is stored."""
    return hashlib.blake2b(key.encode("utf-8", "surrogateescape"), key=secret, digest_size=32).hexdigest()


class SqlKeyRepository:
    """The keys of a database. Synchronous. `now`: the wall clock in seconds; `marker`: records that there are keys."""

    def __init__(
        self, database: Database, secret: bytes, now: Callable[[], float] = time.time, marker: KeyMarker | None = None
    ) -> None:
        self._database = database
        self._marker = marker
        self._secret = secret
        self._now = now

    def create(self, new_key: NewKey) -> IssuedKey:
        """Create a key, and its project if it is new. Raises InvalidRequest naming the field."""
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
            _increment_revision(connection)
            if self._marker is not None:
                self._marker.set()  # before the key exists
        return IssuedKey(key=key, secret=secret)

    def list_all(self) -> Sequence[Key]:
        """Return all keys, oldest first, including invalid ones, without damaged ones."""
        with self._database.read_transaction() as connection:
            records = connection.execute(sa.select(KEYS).order_by(KEYS.c.created_at, KEYS.c.id))
            return list(keys_of(records.mappings()))

    def get(self, key_id: str) -> Key:
        """Return a key. Raises NotFound."""
        with self._database.read_transaction() as connection:
            return self._find(connection, key_id)

    def revoke(self, key_id: str) -> Key:
        """Revoke a key; a revoked one stays as it is. Raises NotFound."""
        with self._database.write_transaction() as connection:
            key = self._find(connection, key_id)
            if key.revoked_at is not None:
                return key
            key = msgspec.structs.replace(key, revoked_at=int(self._now()))
            connection.execute(sa.update(KEYS).where(KEYS.c.id == key_id).values(revoked_at=key.revoked_at))
            _increment_revision(connection)
            return key

    def update(self, key_id: str, changes: KeyChanges) -> Key:
        """Change a key; its `models` are real names.

        Raises NotFound, or InvalidRequest that names the field, also for a revoked key.
        """
        with self._database.write_transaction() as connection:
            key = self._find(connection, key_id)
            if key.revoked_at is not None:
                raise _revoked(key_id)
            _check_expiry(None if changes.expires_in_s is UNSET else changes.expires_in_s)
            key = changes.apply(key, int(self._now()))
            _check_name(key.name)
            _check_limits(key.limits)
            row = {name: value for name, value in _row(key).items() if name in _CHANGED}
            connection.execute(sa.update(KEYS).where(KEYS.c.id == key_id).values(**row))
            _increment_revision(connection)
            return key

    def rotate(self, key_id: str) -> IssuedKey:
        """Give a key a new secret, which replaces the old one. Raises NotFound, or InvalidRequest for a revoked key."""
        secret = f"{_PREFIX}{secrets.token_urlsafe(_SECRET_BYTES)}"
        with self._database.write_transaction() as connection:
            key = self._find(connection, key_id)
            if key.revoked_at is not None:
                raise _revoked(key_id)
            key = msgspec.structs.replace(key, hint=mask_secret(secret), rotated_at=int(self._now()))
            changed = {"hint": key.hint, "rotated_at": key.rotated_at, "digest": digest(self._secret, secret)}
            connection.execute(sa.update(KEYS).where(KEYS.c.id == key_id).values(**changed))
            _increment_revision(connection)
        return IssuedKey(key=key, secret=secret)

    def revision(self) -> int:
        """Return how often keys have changed."""
        with self._database.read_transaction() as connection:
            return _revision(connection)

    def by_digest(self) -> tuple[int, dict[str, Key]]:
        """Return the revision, and the keys that are not revoked by digest. A revision of 0: there was never a key.

        Keys with damaged rows are left out.
        """
        with self._database.read_transaction() as connection:
            records = connection.execute(sa.select(KEYS).where(KEYS.c.revoked_at.is_(None))).mappings().all()
            digests = {str(row["id"]): row["digest"] for row in records}
            return _revision(connection), {digests[key.id]: key for key in keys_of(records)}

    def _find(self, connection: sa.Connection, key_id: str) -> Key:
        row = connection.execute(sa.select(KEYS).where(KEYS.c.id == key_id)).mappings().first()
        if row is None:
            raise NotFound(f"No key has the id {key_id[:100]}.", param="key_id", code="key_not_found")
        return rows.value(row, Key, _WRITTEN)


def keys_of(records: Iterable[sa.RowMapping]) -> Iterator[Key]:
    """Convert rows to keys, without damaged ones."""
    return rows.values(records, Key, _WRITTEN)


def _revoked(key_id: str) -> InvalidRequest:
    return InvalidRequest(f"The key {key_id} is revoked: create a new one.", code="key_revoked")


def _check(new_key: NewKey) -> None:
    _check_name(new_key.name)
    if not _PROJECT.fullmatch(new_key.project):
        raise InvalidRequest(
            "Invalid 'project': expected up to 64 of a-z, 0-9, '.', '_' and '-', a letter or digit first.",
            param="project",
        )
    _check_expiry(new_key.expires_in_s)
    _check_limits(new_key.limits)


def _check_name(name: str) -> None:
    if not 0 < len(name.strip()) <= _NAME_LENGTH:
        raise InvalidRequest(f"Invalid 'name': expected 1 to {_NAME_LENGTH} characters.", param="name")


def _check_expiry(expires_in_s: int | None) -> None:
    if expires_in_s is not None and not 0 < expires_in_s <= _MAX_LIMIT:
        raise InvalidRequest(f"Invalid 'expires_in_s': expected seconds, from 1 to {_MAX_LIMIT}.", param="expires_in_s")


def _check_limits(limits: KeyLimits) -> None:
    for name, value in msgspec.structs.asdict(limits).items():
        if value is not None and not 0 < value <= _MAX_LIMIT:
            raise InvalidRequest(
                f"Invalid 'limits.{name}': expected a number from 1 to {_MAX_LIMIT}.", param=f"limits.{name}"
            )


def _increment_revision(connection: sa.Connection) -> None:
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
