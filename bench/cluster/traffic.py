"""Clients of a gateway in a closed loop, and what became of their requests. Knows nothing of replicas."""

import asyncio
import time
from collections.abc import Callable

import msgspec

from homeport.domain.errors import HomeportError
from homeport.domain.models import InstalledModel
from homeport.domain.ports.serving import Serving
from homeport.domain.text import TextRequest


class Answer(msgspec.Struct, frozen=True):
    """What became of one request. `first_s`: until its first event, None without one; `error`: how it failed."""

    began: float
    ended: float
    first_s: float | None
    events: int
    error: str | None

    @property
    def has_failed(self) -> bool:
        """Whether it failed before the first event: its caller gets an error with a status."""
        return self.error is not None and self.first_s is None

    @property
    def was_cut(self) -> bool:
        """Whether it failed after its first event: its caller gets an error in the stream."""
        return self.error is not None and self.first_s is not None


class Traffic:
    """Clients that each send one request after the other until stopped. `request` makes the next one of a client.

    `events`: all that were read so far. `model` may be replaced: the next requests are for the new one.
    """

    def __init__(self, serving: Serving, model: InstalledModel, request: Callable[[int], TextRequest]) -> None:
        self.model = model
        self.answers: list[Answer] = []
        self.events = 0
        self._serving = serving
        self._request = request
        self._is_stopped = False
        self._clients: list[asyncio.Task[None]] = []

    def start(self, clients: int) -> None:
        """Start the clients."""
        self._clients = [asyncio.create_task(self._run(number)) for number in range(clients)]

    async def stop(self) -> list[Answer]:
        """Let the requests that run finish; return all answers."""
        self._is_stopped = True
        await asyncio.gather(*self._clients)
        return self.answers

    async def _run(self, number: int) -> None:
        while not self._is_stopped:
            self.answers.append(await ask(self._serving, self.model, self._request(number), self._count))

    def _count(self, n: int) -> None:
        self.events += n


async def ask(
    serving: Serving, model: InstalledModel, request: TextRequest, on_events: Callable[[int], None] = lambda _: None
) -> Answer:
    """Send one request and read its answer. `on_events` is called with the size of each batch."""
    began, first_s, events, reason = time.perf_counter(), None, 0, None
    try:
        stream = await serving.open(model, request)
        try:
            await stream.admitted()
            async for batch in stream:
                if first_s is None:
                    first_s = time.perf_counter() - began
                events += len(batch)
                on_events(len(batch))
        finally:
            await stream.aclose()
    except HomeportError as error:
        reason = error.message
    return Answer(began, time.perf_counter(), first_s, events, reason)
