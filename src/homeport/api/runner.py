"""One request on a model, from its opening to its end: admitted, read, counted and closed whatever happens.

Knows nothing of what is asked for, nor of how it is written down: each family of endpoints does.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from homeport.api.metrics import Meter
from homeport.api.request_context import Exchange, exchange_of
from homeport.api.services import services
from homeport.api.streaming import attended
from homeport.api.token_estimates import answer_tokens, prompt_tokens
from homeport.domain import worker_messages
from homeport.domain.errors import HomeportError, InvalidRequest, StorageFull, excerpt
from homeport.domain.events import Admitted, Done, Event, Heard, Usage
from homeport.domain.models import Resolved
from homeport.domain.ports.serving import Stream
from homeport.domain.speech import SpeechRequest
from homeport.domain.text import TextRequest
from homeport.domain.usage import Spent

_log = logging.getLogger("homeport.usage")


class Tally:
    """Counts what a request costs: until the worker says it, what was admitted. `seconds`: of a recording.

    `is_cut`: a limit of the key ended an answer.
    """

    def __init__(self, meter: Meter) -> None:
        self.meter = meter
        self.usage = Usage()
        self.seconds = 0.0
        self.is_cut = False

    def admitted(self, admitted: Admitted) -> None:
        """The worker took the request."""
        self.usage = Usage(admitted.prompt_tokens)
        self.meter.admitted(admitted.prompt_tokens)

    def count(self, events: Sequence[Event]) -> None:
        """Look through what has just arrived."""
        for event in events:
            if isinstance(event, Done):
                self.usage = event.usage
            elif isinstance(event, Heard):
                self.seconds = event.seconds

    def close(self) -> None:
        """The request is over, whole or not."""
        self.meter.close(self.usage)


class Bill:
    """Writes down once what a request cost, for meters, limits and the ledger, whatever came of it."""

    def __init__(self, request: Request, resolved: Resolved, asked: worker_messages.Request, tally: Tally) -> None:
        self.tally = tally
        self._exchange = exchange_of(request.scope)
        self._house = services(request)
        self._model = resolved.meant.facts.name
        self._characters = len(asked.text) if isinstance(asked, SpeechRequest) else 0
        self._is_settled = False

    def settle(self, status: str = "ok") -> None:
        """Write it down, if it is not yet. Raises StorageFull where the ledger finds no room."""
        if self._is_settled:
            return
        self._is_settled = True
        tally, exchange = self.tally, self._exchange
        tally.close()
        exchange.passage.settle(tally.usage.prompt_tokens + tally.usage.completion_tokens)
        caller = exchange.caller
        self._house.meters.billed(caller.project, caller.key_id, tally.usage)
        if self._house.ledger is None:
            return
        try:
            self._house.ledger.write(self._spent(exchange, status))
        except StorageFull:
            if status == "ok":
                raise
            _log.exception("usage of request_id=%s is not written down", exchange.id)

    async def kept(self) -> None:
        """Wait, for a moment at most, until what was written down would survive a power cut."""
        if self._house.ledger is not None:
            await self._house.ledger.kept()

    def _spent(self, exchange: Exchange, status: str) -> Spent:
        meter, usage = self.tally.meter, self.tally.usage
        return Spent(
            at=int(self._house.now()),
            request=exchange.id,
            project=exchange.caller.project,
            model=self._model,
            endpoint=meter.endpoint,
            key=exchange.caller.key_id,
            user=exchange.user,
            status=status,
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens,
            cached_tokens=usage.cached_tokens,
            amount=self._characters or self.tally.seconds,
            first_ms=meter.first_ms,
            whole_ms=meter.elapsed_ms,
            is_batch=exchange.is_background,
        )


class Opened:
    """An admitted request. Iterated, it gives what `Stream` does, counted. `usage`: what it has cost so far."""

    def __init__(self, stream: Stream, admitted: Admitted, bill: Bill, exchange: Exchange) -> None:
        self.admitted = admitted
        self._exchange = exchange
        self._stream = stream
        self._bill = bill
        self._tally = bill.tally

    @property
    def usage(self) -> Usage:
        """What it has cost so far; all of it once `Done` has come."""
        return self._tally.usage

    @property
    def limited_by(self) -> str:
        """The key's limit that ended an answer, as its name in `Allowance`; empty: none did."""
        return self._exchange.limited_by

    async def __aiter__(self) -> AsyncIterator[Sequence[Event]]:
        """The events behind `Admitted`, in batches as they arrive, `Done` last.

        What it cost is written down before `Done` is given: nobody has seen the end of what is not written.
        """
        async for batch in self._stream:
            self._tally.count(batch)
            if self._tally.is_cut:
                self._exchange.limited_by = self._exchange.passage.limited_by
            if batch and isinstance(batch[-1], Done):
                self._bill.settle()
                await self._bill.kept()
            yield batch


@asynccontextmanager
async def opened(
    request: Request,
    resolved: Resolved,
    asked: worker_messages.Request,
    endpoint: str,
    kind: Callable[[Meter], Tally] = Tally,
) -> AsyncIterator[Opened]:
    """Open what is asked of a model and wait for its admission; afterwards close it and write down what it cost.

    Raises what the model, the server or the caller's limits say against it. `kind` counts what is particular to a
    family of endpoints.
    """
    house, exchange = services(request), exchange_of(request.scope)
    is_background, passage, answer = exchange.is_background, exchange.passage, answer_tokens(asked)
    quota = passage.reserve(prompt_tokens(asked), answer)
    if quota is not None and isinstance(asked, TextRequest) and answer != 0:
        asked = msgspec.structs.replace(asked, quota=quota)
    meter = house.meters.begin(resolved.meant.facts.name, endpoint, is_background=is_background)
    bill = Bill(request, resolved, asked, kind(meter))
    try:
        stream = await house.serving.open(
            resolved.model, asked, is_background=is_background, holder=exchange.caller.holder, more=passage.more
        )
        try:
            admitted = await stream.admitted()
            passage.admit(admitted.prompt_tokens, has_answer=answer != 0)
            bill.tally.admitted(admitted)
            yield Opened(stream, admitted, bill, exchange)
        finally:
            await stream.aclose()
    except HomeportError as error:
        bill.settle(error.code or "error")
        raise
    except (asyncio.CancelledError, GeneratorExit):
        bill.settle("cancelled")
        raise
    except BaseException:
        bill.settle("error")
        raise
    else:
        bill.settle()


async def whole(
    request: Request,
    resolved: Resolved,
    work: Coroutine[object, object, bytes],
    media_type: str = "application/json",
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Do the work while the caller is there, and answer with its bytes. Raises Departed if the caller left.

    `headers` may be filled in until the work is done; by default they say which model answers.
    """
    body = await attended(request.receive, work)
    return Response(body, headers=origin(resolved) if headers is None else headers, media_type=media_type)


def origin(resolved: Resolved) -> Mapping[str, str]:
    """The header that says which model really answers."""
    return {"x-homeport-model": resolved.meant.facts.name}


def model_named(body: str | None, path: str | None) -> str:
    """The model asked for, in the body or (2023's engines) in the path. Raises InvalidRequest if neither names one."""
    if path is not None:
        if body is not None and body != path:
            raise InvalidRequest(
                f"The body's model '{excerpt(body, 90)}' is not the path's engine '{excerpt(path, 90)}'.", param="model"
            )
        return path
    if not body:
        raise InvalidRequest("you must provide a model parameter", param="model", code="missing_required_parameter")
    return body
