"""`POST /v1/edits`, and 2023's `/v1/engines/{id}/edits`: a text rewritten as an instruction says.

Knows nothing of how a model is made to do it.
"""

from starlette.requests import Request
from starlette.responses import Response

from homeport.api.edits.render import EditRenderer
from homeport.api.edits.schema import EditBody
from homeport.api.request_body import apart, read_json
from homeport.api.runner import require_model_name
from homeport.api.services import caller, registry
from homeport.api.text_generation.runner import TextCall, run_text_call


async def create(request: Request) -> Response:
    """Edit a text."""
    body = await read_json(request, EditBody)
    model = require_model_name(body.model, request.path_params.get("engine"))
    asked = await apart(request, body.to_request, caller(request).project)
    resolved = registry(request).resolve(model, "edits")
    return await run_text_call(request, TextCall("edits", "edit-", resolved, asked, EditRenderer))
