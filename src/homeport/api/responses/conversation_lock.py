"""Reserves a conversation while a response reads it and adds to it. Knows nothing of what the response is."""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from homeport.domain.errors import Conflict, HomeportError, NotFound
from homeport.domain.ports.responses import ConversationRepository

LEASE_S = 30.0
"""How long a conversation stays reserved after its server died."""
_RENEWALS = 3

_log = logging.getLogger("homeport.responses")


class ConversationLock:
    """Reserves a conversation for `owner`, a response, as a context manager.

    The end of the context ends the reservation, unless `is_kept`: then what ends the response does, or the lease.
    """

    def __init__(
        self, repository: ConversationRepository, project: str, conversation_id: str, owner: str, *, is_kept: bool
    ) -> None:
        self._repository = repository
        self._place = (project, conversation_id)
        self.owner = owner
        self._is_kept = is_kept
        self._lost: HomeportError | None = None
        self._is_released = False
        self._renewing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Reserve the conversation. Raises Conflict while another response has it, NotFound."""
        with naming_conversation():
            await self._lock()
        self._renewing = asyncio.create_task(self._renew())
        return self

    async def __aexit__(self, *_: object) -> None:
        """End the reservation, if `release` has not."""
        await self.release()

    async def release(self) -> None:
        """End the reservation before the context ends: a caller who has the whole answer may ask again at once."""
        if self._renewing is not None:
            self._renewing.cancel()
            await asyncio.gather(self._renewing, return_exceptions=True)
            self._renewing = None
        if not self._is_kept and not self._is_released:
            await asyncio.to_thread(self._repository.unlock, self._place[1], self.owner)
            self._is_released = True

    def check(self) -> None:
        """Raise why the reservation was lost, if it was: then nothing may be added to the conversation."""
        if self._lost is not None:
            raise self._lost

    async def _lock(self) -> None:
        await asyncio.to_thread(self._repository.lock, *self._place, self.owner, LEASE_S)

    async def _renew(self) -> None:
        while self._lost is None:
            await asyncio.sleep(LEASE_S / _RENEWALS)
            try:
                await self._lock()
            except (Conflict, NotFound) as error:
                self._lost = error
            except (HomeportError, OSError) as error:
                _log.warning("the conversation %s is not renewed: %s", self._place[1], error)


@contextmanager
def naming_conversation() -> Iterator[None]:
    """Name the field of the body in the error for a conversation that does not exist."""
    try:
        yield
    except NotFound as error:
        raise NotFound(error.message, param="conversation", code=error.code) from error
