"""One request on a model, from admission to the end of its response: the only way to run one.

Owns admission, accounting, disconnects, pings, stalls and errors. Knows nothing of the endpoints' fields or of the
response's format: endpoints convert, a `Writer` renders.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from homeport.api.accounting import RequestAccounting
from homeport.api.request_context import RequestContext, context_of
from homeport.api.services import registry, services
from homeport.api.streaming import ByteStream, EventStream, run_until_disconnect
from homeport.api.token_estimates import answer_tokens, prompt_tokens
from homeport.api.writer import AnswerMetadata, Delivery, Writer
from homeport.domain.errors import HomeportError, InvalidRequest, excerpt
from homeport.domain.events import Admitted, Done, Event, TokenizeResult, Usage
from homeport.domain.models import ResolvedModel
from homeport.domain.ports.serving import RequestStream
from homeport.domain.text import ChatPrompt, TextRequest, TokenRequest
from homeport.domain.worker_messages import EngineRequest
from homeport.serving.rate_limits import RateLimitTicket


def resolve(request: Request, name: str | None, capability: str) -> ResolvedModel:
    """Find the model that the body, or the path of 2023's engines, names.

    Raises InvalidRequest if there is no name, or two different ones, or the model lacks the capability; ModelNotFound.
    """
    return registry(request).resolve(require_model_name(name, request.path_params.get("engine")), capability)


def require_model_name(body: str | None, path: str | None) -> str:
    """Return the model's name, from the body or (2023's engines) from the path. Raises InvalidRequest without one."""
    if path is not None:
        if body is not None and body != path:
            raise InvalidRequest(
                f"The body's model '{excerpt(body, 90)}' is not the path's engine '{excerpt(path, 90)}'.", param="model"
            )
        return path
    if not body:
        raise InvalidRequest("you must provide a model parameter", param="model", code="missing_required_parameter")
    return body


def model_header(resolved: ResolvedModel) -> Mapping[str, str]:
    """Return the header that names the model that answers."""
    return {"x-homeport-model": resolved.served_model.facts.name}


async def run(
    request: Request,
    resolved: ResolvedModel,
    engine_request: EngineRequest,
    writer: Writer,
    *,
    endpoint: str,
    user: str | None = None,
) -> Response:
    """Run a request on a model and respond with what `writer` makes of its events.

    `endpoint` is its name in metrics and usage, `user` the caller's own name of the end user. Raises the
    error for which the model, the server or the key's limits refuse the request, and ClientDisconnected; a stream
    raises while it is sent.
    """
    headers = dict(model_header(resolved))
    parts = _parts(request, resolved, engine_request, writer, headers, endpoint, user)
    limits = services(request).limits
    if writer.delivery is Delivery.SSE:
        return EventStream(
            parts,
            headers,
            ping=writer.ping,
            ping_s=limits.ping_s,
            stall_s=limits.stall_s,
            render_error=writer.render_error,
        )
    if writer.delivery is Delivery.BYTES:
        return ByteStream(parts, headers, writer.media_type, stall_s=limits.stall_s)
    body = await run_until_disconnect(request.receive, _join(parts))
    return Response(body, headers=headers, media_type=writer.media_type)


async def count_prompt(request: Request, resolved: ResolvedModel, prompt: ChatPrompt) -> int:
    """Return the number of a prompt's tokens, as a part of another request: nothing is recorded.

    Raises InvalidRequest for an invalid prompt, or one that does not fit the window, and what opening a request raises.
    """
    ids: Sequence[int] = ()
    ticket = context_of(request.scope).rate_ticket
    async with aclosing(await _open(request, resolved, TokenRequest((prompt,)), ticket)) as stream:
        await stream.admitted()
        async for events in stream:
            ids = next((event.ids for event in events if isinstance(event, TokenizeResult)), ids)
    return len(ids)


async def check_request(request: Request, resolved: ResolvedModel, engine_request: EngineRequest) -> None:
    """Have a model check an engine request that computes nothing, as a part of another request: nothing is recorded.

    The model is loaded afterwards. Raises what refuses the engine request, and what opening a request raises.
    """
    ticket = context_of(request.scope).rate_ticket
    async with aclosing(await _open(request, resolved, engine_request, ticket)) as stream:
        await stream.admitted()


def window_of(request: Request, resolved: ResolvedModel) -> int | None:
    """Return the window of a model in tokens, as it is loaded; None: it is not known."""
    loaded = services(request).serving.loaded(resolved.model.facts.name)
    return loaded.window if loaded else resolved.model.facts.window


async def _join(parts: AsyncGenerator[bytes, None]) -> bytes:
    async with aclosing(parts):
        return b"".join([part async for part in parts])


async def _parts(
    request: Request,
    resolved: ResolvedModel,
    engine_request: EngineRequest,
    writer: Writer,
    headers: dict[str, str],
    endpoint: str,
    user: str | None,
) -> AsyncGenerator[bytes, None]:
    """Yield the parts of the response; the first is empty and marks the request as admitted.

    `headers` are complete by then; what later admissions add reaches only a whole answer. Usage is recorded before the
    last part is yielded, so no caller sees the end of an answer that is not recorded. If the writer has work before the
    first engine request, what opens the response is sent before any admission.
    """
    next_request: EngineRequest | None = engine_request
    spent: Usage | None = None
    is_open = False
    while True:
        if writer.has_work:
            if not is_open:
                yield writer.opening()
                is_open = True
            async with aclosing(writer.work()) as work:
                async for part in work:
                    yield part
            next_request = await writer.next_request()
        if next_request is None:
            yield await writer.finish()
            return
        async with engine_run(request, resolved, next_request, endpoint, user) as engine:
            headers.update(writer.on_admitted(_metadata(request, resolved, engine.admitted)))
            if not is_open:
                yield writer.opening()
                is_open = True
            async for events in engine.events:
                engine.count(events)
                writer.usage = spent + engine.usage if spent else engine.usage
                part = writer.write(events)
                if events and isinstance(events[-1], Done):
                    part += await _end(engine, writer)
                if part:
                    yield part
            spent = writer.usage
        if not writer.has_work:
            return


async def _end(engine: "EngineRun", writer: Writer) -> bytes:
    """Record an engine request, and return the end of the answer if it has no more of them."""
    end = b"" if writer.has_work else await writer.finish()
    await engine.complete()
    return end


class EngineRun:
    """One engine request of a request, while it runs. `events`: what it answers, in batches; `count` each of them."""

    def __init__(
        self,
        events: RequestStream,
        admitted: Admitted,
        accounting: RequestAccounting,
        context: RequestContext,
        ticket: RateLimitTicket,
    ) -> None:
        self.events = events
        self.admitted = admitted
        self._accounting = accounting
        self._context = context
        self._ticket = ticket
        self._counter = accounting.counter

    @property
    def usage(self) -> Usage:
        """The cost so far."""
        return self._counter.usage

    def count(self, events: Sequence[Event]) -> None:
        """Count a batch of events."""
        self._counter.count(events)
        if self._counter.is_cut:
            self._context.limited_by = self._ticket.limited_by

    async def complete(self) -> None:
        """Record the cost, and wait, for a limited time, until the record would survive a power cut."""
        self._accounting.record()
        await self._accounting.wait_until_durable()


@asynccontextmanager
async def engine_run(
    request: Request,
    resolved: ResolvedModel,
    engine_request: EngineRequest,
    endpoint: str,
    user: str | None = None,
    ticket: RateLimitTicket | None = None,
) -> AsyncIterator[EngineRun]:
    """Run one engine request within a request: limited by the caller's key, admitted, counted, and recorded at its end.

    The runs with one ticket follow one another; `ticket` None: that of the request. The end of the context cancels what
    is not finished. Raises the error for which the model, the server or the key's limits refuse it.
    """
    context = context_of(request.scope)
    ticket = ticket or context.rate_ticket
    engine_request = _reserve_tokens(ticket, engine_request)
    accounting = RequestAccounting(request, resolved, engine_request, endpoint, user, ticket)
    try:
        async with aclosing(await _open(request, resolved, engine_request, ticket)) as stream:
            admitted = await stream.admitted()
            ticket.admit(admitted.prompt_tokens, has_answer=answer_tokens(engine_request) != 0)
            accounting.counter.on_admitted(admitted)
            yield EngineRun(stream, admitted, accounting, context, ticket)
    except BaseException as error:
        accounting.record(_status(error))
        raise
    else:
        accounting.record()


def _reserve_tokens(ticket: RateLimitTicket, engine_request: EngineRequest) -> EngineRequest:
    """Reserve the estimated tokens in the key's limits. A text request also receives its first quota."""
    answer = answer_tokens(engine_request)
    quota = ticket.reserve(prompt_tokens(engine_request), answer)
    if quota is not None and isinstance(engine_request, TextRequest) and answer != 0:
        return msgspec.structs.replace(engine_request, quota=quota)
    return engine_request


async def _open(
    request: Request, resolved: ResolvedModel, engine_request: EngineRequest, ticket: RateLimitTicket
) -> RequestStream:
    context = context_of(request.scope)
    return await services(request).serving.open(
        resolved.model,
        engine_request,
        is_background=context.is_background,
        holder=context.caller.holder,
        more=ticket.more,
    )


def _metadata(request: Request, resolved: ResolvedModel, admitted: Admitted) -> AnswerMetadata:
    """Describe the answer. Not before admission: only a loaded model has a fingerprint."""
    server = services(request)
    window = window_of(request, resolved)
    return AnswerMetadata(admitted, int(server.now()), resolved.requested_name, server.fingerprint(resolved), window)


def _status(error: BaseException) -> str:
    """Return the status of a failed request in the usage records."""
    if isinstance(error, HomeportError):
        return error.code or "error"
    return "cancelled" if isinstance(error, asyncio.CancelledError | GeneratorExit) else "error"
