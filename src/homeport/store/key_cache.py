"""The keys in memory, so that no request waits for SQL; read anew when another process has changed them.

Knows nothing of requests. Fills `domain.ports.Keys`.
"""

import asyncio
import time
from collections.abc import Callable, Mapping

from homeport.domain.keys import Key
from homeport.store.keys import SqlKeyRepository, digest


class SqlKeyCache:
    """The keys that open something now. `load` it once before use, and `refresh` it again and again.

    While the database is away the keys stay as they were last seen.
    """

    def __init__(self, book: SqlKeyRepository, secret: bytes, now: Callable[[], float] = time.time) -> None:
        self._book = book
        self._secret = secret
        self._now = now
        self._revision = -1
        self._is_closed = False
        self._keys: Mapping[str, Key] = {}

    @property
    def requires_key(self) -> bool:
        """Whether a key was ever made: then nobody comes in without one, also if all are revoked or lost."""
        return self._is_closed

    def find(self, secret: str) -> Key | None:
        """The key with this secret, if it opens anything now."""
        key = self._keys.get(digest(self._secret, secret))
        return key if key is not None and key.is_valid(self._now()) else None

    def find_by_id(self, key_id: str) -> Key | None:
        """The key with this id, if it opens anything now."""
        now = self._now()
        return next((key for key in self._keys.values() if key.id == key_id and key.is_valid(now)), None)

    def load(self) -> None:
        """Read the keys if they have changed."""
        if self._book.revision() != self._revision:
            self._revision, self._keys = self._book.by_digest()
            self._is_closed = self._is_closed or self._revision > 0

    async def refresh(self) -> None:
        """Read the keys, in a thread, if they have changed."""
        await asyncio.to_thread(self.load)
