"""One request on a model, from its opening to its end: admitted, read, counted and closed whatever happens.

Knows nothing of what is asked for, nor of how it is written down: each family of endpoints does.
"""

from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager

from starlette.requests import Request
from starlette.responses import Response

from homeport.api.meters import Meter
from homeport.api.services import Services
from homeport.api.streaming import attended
from homeport.domain import link
from homeport.domain.errors import InvalidRequest
from homeport.domain.events import Admitted, Done, Event, Usage
from homeport.domain.models import Resolved
from homeport.domain.ports import Stream


class Tally:
    """Counts what a request costs: until the worker says it, what was admitted."""

    def __init__(self, meter: Meter) -> None:
        self.meter = meter
        self.usage = Usage()

    def admitted(self, admitted: Admitted) -> None:
        """The worker took the request."""
        self.usage = Usage(admitted.prompt_tokens)
        self.meter.admitted(admitted.prompt_tokens)

    def count(self, events: Sequence[Event]) -> None:
        """Look through what has just arrived."""
        for event in events:
            if isinstance(event, Done):
                self.usage = event.usage

    def close(self) -> None:
        """The request is over, whole or not."""
        self.meter.close(self.usage)


class Opened:
    """An admitted request. Iterated, it gives what `Stream` does, counted. `usage`: what it has cost so far."""

    def __init__(self, stream: Stream, admitted: Admitted, tally: Tally) -> None:
        self.admitted = admitted
        self._stream = stream
        self._tally = tally

    @property
    def usage(self) -> Usage:
        """What it has cost so far; all of it once `Done` has come."""
        return self._tally.usage

    async def __aiter__(self) -> AsyncIterator[Sequence[Event]]:
        """The events behind `Admitted`, in batches as they arrive, `Done` last."""
        async for batch in self._stream:
            self._tally.count(batch)
            yield batch


@asynccontextmanager
async def opened(
    services: Services, resolved: Resolved, request: link.Request, endpoint: str, kind: Callable[[Meter], Tally] = Tally
) -> AsyncIterator[Opened]:
    """Open a request and wait for its admission; afterwards close it and write down what it cost.

    Raises what the model or the server says against it. `kind` counts what is particular to a family of endpoints.
    """
    tally = kind(services.meters.begin(resolved.meant.facts.name, endpoint))
    try:
        stream = await services.serving.open(resolved.model, request)
        try:
            admitted = await stream.admitted()
            tally.admitted(admitted)
            yield Opened(stream, admitted, tally)
        finally:
            await stream.aclose()
    finally:
        tally.close()


async def whole(
    request: Request, resolved: Resolved, work: Coroutine[object, object, bytes], media_type: str = "application/json"
) -> Response:
    """Do the work while the caller is there, and answer with its bytes. Raises Departed if the caller left."""
    body = await attended(request.receive, work)
    return Response(body, headers=origin(resolved), media_type=media_type)


def origin(resolved: Resolved) -> Mapping[str, str]:
    """The header that says which model really answers."""
    return {"x-homeport-model": resolved.meant.facts.name}


def model_named(body: str | None, path: str | None) -> str:
    """The model asked for, in the body or (2023's engines) in the path. Raises InvalidRequest if neither names one."""
    if path is not None:
        if body is not None and body != path:
            raise InvalidRequest(f"The body's model '{body}' is not the path's engine '{path}'.", param="model")
        return path
    if not body:
        raise InvalidRequest("you must provide a model parameter", param="model", code="missing_required_parameter")
    return body
