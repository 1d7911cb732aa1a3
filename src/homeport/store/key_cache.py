"""The keys in memory, so that no request waits for SQL. They are reloaded when another process changes them."""

import asyncio
import time
from collections.abc import Callable, Mapping

from homeport.domain.keys import Key
from homeport.store.keys import SqlKeyRepository, digest


class SqlKeyCache:
    """The valid keys. Call `load` once before use, and `refresh` regularly.

    While the database cannot be reached, the keys stay as they were.
    """

    def __init__(self, keys: SqlKeyRepository, secret: bytes, now: Callable[[], float] = time.time) -> None:
        self._repository = keys
        self._secret = secret
        self._now = now
        self._revision = -1
        self._requires_key = False
        self._keys: Mapping[str, Key] = {}

    @property
    def requires_key(self) -> bool:
        """Whether a key ever existed: then every request needs one, even if all are revoked or lost."""
        return self._requires_key

    def find(self, secret: str) -> Key | None:
        """Return the key with this secret, if it is valid now."""
        key = self._keys.get(digest(self._secret, secret))
        return key if key is not None and key.is_valid(self._now()) else None

    def find_by_id(self, key_id: str) -> Key | None:
        """Return the key with this id, if it is valid now."""
        now = self._now()
        return next((key for key in self._keys.values() if key.id == key_id and key.is_valid(now)), None)

    def load(self) -> None:
        """Reload the keys if they have changed."""
        if self._repository.revision() != self._revision:
            self._revision, self._keys = self._repository.by_digest()
            self._requires_key = self._requires_key or self._revision > 0

    async def refresh(self) -> None:
        """Reload the keys, in a thread, if they have changed."""
        await asyncio.to_thread(self.load)
