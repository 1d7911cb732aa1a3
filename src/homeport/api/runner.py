"""One request on a model, from its opening to its end: admitted, read, counted and closed whatever happens.

Knows nothing of what is asked for, nor of how it is written down: each family of endpoints does.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from homeport.api.accounting import RequestAccounting, UsageCounter
from homeport.api.metrics import RequestMetrics
from homeport.api.request_context import RequestContext, context_of
from homeport.api.services import services
from homeport.api.streaming import run_until_disconnect
from homeport.api.token_estimates import answer_tokens, prompt_tokens
from homeport.domain import worker_messages
from homeport.domain.errors import HomeportError, InvalidRequest, excerpt
from homeport.domain.events import (
    Admitted,
    Done,
    Event,
    Usage,
)
from homeport.domain.models import ResolvedModel
from homeport.domain.ports.serving import RequestStream
from homeport.domain.text import TextRequest


class AdmittedRequest:
    """An admitted request. Iterated, it gives what `RequestStream` does, counted. `usage`: what it has cost so far."""

    def __init__(
        self, stream: RequestStream, admitted: Admitted, bill: RequestAccounting, exchange: RequestContext
    ) -> None:
        self.admitted = admitted
        self._exchange = exchange
        self._stream = stream
        self._bill = bill
        self._tally = bill.counter

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
                self._exchange.limited_by = self._exchange.rate_ticket.limited_by
            if batch and isinstance(batch[-1], Done):
                self._bill.record()
                await self._bill.kept()
            yield batch


@asynccontextmanager
async def admit(
    request: Request,
    resolved: ResolvedModel,
    engine_request: worker_messages.EngineRequest,
    endpoint: str,
    counter_type: Callable[[RequestMetrics], UsageCounter] = UsageCounter,
) -> AsyncIterator[AdmittedRequest]:
    """Open what is asked of a model and wait for its admission; afterwards close it and write down what it cost.

    Raises what the model, the server or the caller's limits say against it. `kind` counts what is particular to a
    family of endpoints.
    """
    house, exchange = services(request), context_of(request.scope)
    is_background, passage, answer = exchange.is_background, exchange.rate_ticket, answer_tokens(engine_request)
    quota = passage.reserve(prompt_tokens(engine_request), answer)
    if quota is not None and isinstance(engine_request, TextRequest) and answer != 0:
        engine_request = msgspec.structs.replace(engine_request, quota=quota)
    meter = house.metrics.start_request(resolved.served_model.facts.name, endpoint, is_background=is_background)
    bill = RequestAccounting(request, resolved, engine_request, counter_type(meter))
    try:
        stream = await house.serving.open(
            resolved.model,
            engine_request,
            is_background=is_background,
            holder=exchange.caller.holder,
            more=passage.more,
        )
        try:
            admitted = await stream.admitted()
            passage.admit(admitted.prompt_tokens, has_answer=answer != 0)
            bill.counter.admitted(admitted)
            yield AdmittedRequest(stream, admitted, bill, exchange)
        finally:
            await stream.aclose()
    except HomeportError as error:
        bill.record(error.code or "error")
        raise
    except (asyncio.CancelledError, GeneratorExit):
        bill.record("cancelled")
        raise
    except BaseException:
        bill.record("error")
        raise
    else:
        bill.record()


async def respond_whole(
    request: Request,
    resolved: ResolvedModel,
    work: Coroutine[object, object, bytes],
    media_type: str = "application/json",
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Do the work while the caller is there, and answer with its bytes. Raises Departed if the caller left.

    `headers` may be filled in until the work is done; by default they say which model answers.
    """
    body = await run_until_disconnect(request.receive, work)
    return Response(body, headers=model_header(resolved) if headers is None else headers, media_type=media_type)


def model_header(resolved: ResolvedModel) -> Mapping[str, str]:
    """The header that says which model really answers."""
    return {"x-homeport-model": resolved.served_model.facts.name}


def require_model_name(body: str | None, path: str | None) -> str:
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
