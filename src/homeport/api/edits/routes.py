"""`POST /v1/edits`, and 2023's `/v1/engines/{id}/edits`: a text rewritten by an instruction."""

from starlette.requests import Request
from starlette.responses import Response

from homeport.api.edits.convert import to_request
from homeport.api.edits.render import EditRenderer
from homeport.api.edits.schema import EditBody
from homeport.api.request_body import read_json, run_in_thread_if_large
from homeport.api.request_context import context_of
from homeport.api.request_runner import resolve, run
from homeport.api.text_generation.writers import TextAnswerWriter


async def create(request: Request) -> Response:
    """Edit a text."""
    body = await read_json(request, EditBody)
    context = context_of(request.scope)
    resolved = resolve(request, body.model, "edits")
    engine_request = await run_in_thread_if_large(request, to_request, body, resolved, context)
    return await run(request, resolved, engine_request, TextAnswerWriter(EditRenderer, context), endpoint="edits")
