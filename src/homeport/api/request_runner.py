"""One request on a model, from admission to the end of its response: the only way to run one.

Owns admission, accounting, disconnects, pings, stalls and errors. Knows nothing of the endpoints' fields or of the
response's format: endpoints convert, a `Writer` renders.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing

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
from homeport.domain.events import Admitted, Done
from homeport.domain.models import ResolvedModel
from homeport.domain.ports.serving import RequestStream
from homeport.domain.text import TextRequest
from homeport.domain.worker_messages import EngineRequest


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
            parts, headers, ping_s=limits.ping_s, stall_s=limits.stall_s, render_error=writer.render_error
        )
    if writer.delivery is Delivery.BYTES:
        return ByteStream(parts, headers, writer.media_type, stall_s=limits.stall_s)
    body = await run_until_disconnect(request.receive, _join(parts))
    return Response(body, headers=headers, media_type=writer.media_type)


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

    `headers` are complete by then. Usage is recorded before the last part is yielded, so no caller sees the end of an
    answer that is not recorded.
    """
    context = context_of(request.scope)
    engine_request = _reserve_tokens(context, engine_request)
    accounting = RequestAccounting(request, resolved, engine_request, endpoint, user)
    counter = accounting.counter
    try:
        async with aclosing(await _open(request, resolved, engine_request)) as stream:
            admitted = await stream.admitted()
            context.rate_ticket.admit(admitted.prompt_tokens, has_answer=answer_tokens(engine_request) != 0)
            counter.on_admitted(admitted)
            headers.update(writer.on_admitted(_metadata(request, resolved, admitted)))
            yield writer.opening()
            async for events in stream:
                counter.count(events)
                if counter.is_cut:
                    context.limited_by = context.rate_ticket.limited_by
                writer.usage = counter.usage
                part = writer.write(events)
                if events and isinstance(events[-1], Done):
                    part += await writer.finish()
                    accounting.record()
                    await accounting.wait_until_durable()
                if part:
                    yield part
    except BaseException as error:
        accounting.record(_status(error))
        raise
    else:
        accounting.record()


def _reserve_tokens(context: RequestContext, engine_request: EngineRequest) -> EngineRequest:
    """Reserve the estimated tokens in the key's limits. A text request also receives its first quota."""
    answer = answer_tokens(engine_request)
    quota = context.rate_ticket.reserve(prompt_tokens(engine_request), answer)
    if quota is not None and isinstance(engine_request, TextRequest) and answer != 0:
        return msgspec.structs.replace(engine_request, quota=quota)
    return engine_request


async def _open(request: Request, resolved: ResolvedModel, engine_request: EngineRequest) -> RequestStream:
    context = context_of(request.scope)
    return await services(request).serving.open(
        resolved.model,
        engine_request,
        is_background=context.is_background,
        holder=context.caller.holder,
        more=context.rate_ticket.more,
    )


def _metadata(request: Request, resolved: ResolvedModel, admitted: Admitted) -> AnswerMetadata:
    """Describe the answer. Not before admission: only a loaded model has a fingerprint."""
    server = services(request)
    loaded = server.serving.loaded(resolved.model.facts.name)
    window = loaded.window if loaded else resolved.model.facts.window
    return AnswerMetadata(admitted, int(server.now()), resolved.requested_name, server.fingerprint(resolved), window)


def _status(error: BaseException) -> str:
    """Return the status of a failed request in the usage records."""
    if isinstance(error, HomeportError):
        return error.code or "error"
    return "cancelled" if isinstance(error, asyncio.CancelledError | GeneratorExit) else "error"
