"""`POST /v1/completions`, and 2023's `/v1/engines/{id}/completions`.

Knows nothing of models or tokens: checks what can be checked without them and passes the rest on.
"""

from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from homeport.api.completions.render import CompletionRenderer
from homeport.api.completions.schema import CompletionBody
from homeport.api.request_body import apart, read_json
from homeport.api.request_context import note_user
from homeport.api.runner import require_model_name
from homeport.api.services import caller, registry
from homeport.api.text_generation.runner import TextCall, run_text_call


async def create(request: Request) -> Response:
    """Complete one or many prompts."""
    body = await read_json(request, CompletionBody)
    note_user(request.scope, body.user)
    model = require_model_name(body.model, request.path_params.get("engine"))
    asked = await apart(request, body.to_request, caller(request).project)
    resolved = registry(request).resolve(model, "completions")
    shape = partial(CompletionRenderer, n=asked.n, top=asked.logprobs, echo=asked.echo, has_usage=body.has_usage)
    call = TextCall("completions", "cmpl-", resolved, asked, shape, shape if body.stream else None, body.is_padded)
    return await run_text_call(request, call)
