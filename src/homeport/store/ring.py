"""The keys in memory, so that no request waits for SQL; read anew when another process has changed them.

Knows nothing of requests. Fills `domain.ports.Keys`.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping

from homeport.domain.accounts import Key
from homeport.domain.errors import HomeportError
from homeport.store.keys import KeyBook, digest

_log = logging.getLogger("homeport.keys")

WATCH_S = 0.5
"""How often the database is asked whether keys have changed: a revoked one opens nothing soon after."""


class KeyRing:
    """The keys that open something now. `load` it once before use, and let `watch` run beside the server."""

    def __init__(self, book: KeyBook, secret: bytes, now: Callable[[], float] = time.time) -> None:
        self._book = book
        self._secret = secret
        self._now = now
        self._revision = -1
        self._keys: Mapping[str, Key] = {}

    @property
    def is_closed(self) -> bool:
        """Whether a key was ever made: then nobody comes in without one, also if all are revoked."""
        return self._revision > 0

    def find(self, secret: str) -> Key | None:
        """The key with this secret, if it opens anything now."""
        key = self._keys.get(digest(self._secret, secret))
        return key if key is not None and key.opens(self._now()) else None

    def load(self) -> None:
        """Read the keys if they have changed."""
        if self._book.revision() != self._revision:
            self._revision, self._keys = self._book.by_digest()

    async def refresh(self) -> None:
        """Read the keys, in a thread, if they have changed."""
        await asyncio.to_thread(self.load)

    async def watch(self) -> None:
        """Look again and again, for ever. While the database is away the keys stay as they were last seen."""
        is_away = False
        while True:
            await asyncio.sleep(WATCH_S)
            try:
                await self.refresh()
                is_away = False
            except HomeportError as error:
                if not is_away:
                    _log.warning("keys stay as they were: %s", error)
                is_away = True
