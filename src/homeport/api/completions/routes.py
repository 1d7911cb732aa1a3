"""`POST /v1/completions`, and 2023's `/v1/engines/{id}/completions`."""

from starlette.requests import Request
from starlette.responses import Response

from homeport.api.completions.convert import to_request
from homeport.api.completions.render import completion_writer
from homeport.api.completions.schema import CompletionBody
from homeport.api.request_body import read_json, run_in_thread_if_large
from homeport.api.request_context import context_of
from homeport.api.request_runner import resolve, run


async def create(request: Request) -> Response:
    """Complete one or many prompts."""
    body = await read_json(request, CompletionBody)
    context = context_of(request.scope)
    resolved = resolve(request, body.model, "completions")
    engine_request = await run_in_thread_if_large(request, to_request, body, resolved, context)
    writer = completion_writer(body, context)
    return await run(request, resolved, engine_request, writer, endpoint="completions", user=body.user)
