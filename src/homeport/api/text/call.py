"""One checked request of a text endpoint, run: its events written as a stream of chunks or as one answer.

Knows nothing of the fields of any endpoint. Whatever happens, the worker's stream is closed and the cost counted.
"""

import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from homeport.api import wire
from homeport.api.meters import Meter
from homeport.api.services import Services, services
from homeport.api.streaming import EventStream, attended
from homeport.api.text.answer import Collected, Head
from homeport.api.text.frames import Frames, Shape
from homeport.domain.events import Admitted, Delta, Done, Event, Finished, Usage
from homeport.domain.models import Resolved
from homeport.domain.ports import Stream
from homeport.domain.text import TextRequest


class Answerer(Protocol):
    """How one endpoint writes a whole answer."""

    def answer(self, collected: Collected, usage: Usage) -> msgspec.Struct:
        """Make the answer, ready to be encoded as JSON."""
        ...


@dataclass(frozen=True)
class Call:
    """What is to be run. `prefix` begins the answer's id. `chunks` is None where one answer is wanted, no stream."""

    endpoint: str
    prefix: str
    resolved: Resolved
    request: TextRequest
    whole: Callable[[Head, Admitted], Answerer]
    chunks: Callable[[Head, Admitted], Shape] | None = None

    @property
    def choices(self) -> int:
        """How many choices the answer has."""
        return len(self.request.prompts) * self.request.n


async def respond(request: Request, call: Call) -> Response:
    """Run a call and answer it. Raises what the model or the server says against it; Departed if the caller left."""
    run = _Run(services(request), call)
    headers = {"x-homeport-model": call.resolved.model.facts.name}
    if call.chunks is not None:
        limits = run.services.limits
        return EventStream(run.frames(call.chunks), headers, ping_s=limits.ping_s, stall_s=limits.stall_s)
    body = await attended(request.receive, run.answer())
    return Response(body, headers=headers, media_type="application/json")


class _Run:
    """One call under way. Used once."""

    def __init__(self, services: Services, call: Call) -> None:
        self.services = services
        self._call = call

    async def frames(self, shape: Callable[[Head, Admitted], Shape]) -> AsyncGenerator[bytes, None]:
        """Give the frames of each wake-up; first, when the request is admitted, nothing."""
        async with self._opened() as (stream, admitted, tally):
            frames = Frames(shape(self._head(), admitted))
            yield b""
            async for batch in stream:
                tally.count(batch)
                yield frames.write(batch)

    async def answer(self) -> bytes:
        """Collect the whole answer."""
        async with self._opened() as (stream, admitted, tally):
            answerer = self._call.whole(self._head(), admitted)
            collected = Collected(self._call.choices)
            async for batch in stream:
                tally.count(batch)
                collected.add(batch)
            return wire.encode(answerer.answer(collected, tally.usage))

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[tuple[Stream, Admitted, "_Tally"]]:
        """Open the request and wait for its admission; afterwards close it and write down what it cost."""
        model = self._call.resolved.model
        # Token ids in a request are those of the name it was sent to.
        request = msgspec.structs.replace(self._call.request, encoding=self._call.resolved.encoding)
        tally = _Tally(self.services.meters.begin(model.facts.name, self._call.endpoint))
        try:
            stream = await self.services.serving.open(model, request)
            try:
                admitted = await stream.admitted()
                tally.admitted(admitted)
                yield stream, admitted, tally
            finally:
                await stream.aclose()
        finally:
            tally.close()

    def _head(self) -> Head:
        """Make the answer's head. Not before admission: the fingerprint is of the loaded model."""
        resolved = self._call.resolved
        fingerprint = self.services.fingerprint(resolved.model)
        return Head(f"{self._call.prefix}{uuid.uuid4().hex}", int(self.services.now()), resolved.asked, fingerprint)


class _Tally:
    """Counts what a request costs. Until the worker says it, the tokens of its deltas are counted."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._whole: Usage | None = None
        self._prompt_tokens = 0
        self._tokens = 0

    @property
    def usage(self) -> Usage:
        """What it cost so far."""
        return self._whole or Usage(self._prompt_tokens, self._tokens)

    def admitted(self, admitted: Admitted) -> None:
        self._prompt_tokens = admitted.prompt_tokens
        self._meter.admitted(admitted.prompt_tokens)

    def count(self, events: Sequence[Event]) -> None:
        tokens = 0
        for event in events:
            if isinstance(event, Delta):
                tokens += event.tokens
            elif isinstance(event, Finished):
                self._meter.finished(event.reason)
            elif isinstance(event, Done):
                self._whole = event.usage
        if tokens:
            self._tokens += tokens
            self._meter.token(tokens)

    def close(self) -> None:
        self._meter.close(self.usage)
