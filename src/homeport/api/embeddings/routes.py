"""`POST /v1/embeddings`, and 2023's `/v1/engines/{id}/embeddings`.

Knows nothing of models or tokens: checks what can be checked without them and passes the rest on.
"""

from starlette.requests import Request
from starlette.responses import Response

from homeport.api import json_codec
from homeport.api.embeddings.render import EmbeddingCollector, EmbeddingUsageCounter
from homeport.api.embeddings.schema import CreateEmbeddingBody
from homeport.api.request_body import apart, read_json
from homeport.api.request_context import note_user
from homeport.api.runner import admit, require_model_name, respond_whole
from homeport.api.services import registry
from homeport.domain.embeddings import EmbeddingRequest
from homeport.domain.models import ResolvedModel

ENDPOINT = "embeddings"


async def create(request: Request) -> Response:
    """Give a vector for each input."""
    body = await read_json(request, CreateEmbeddingBody)
    note_user(request.scope, body.user)
    model = require_model_name(body.model, request.path_params.get("engine"))
    given = await apart(request, body.checked)
    resolved = registry(request).resolve(model, ENDPOINT)
    return await respond_whole(
        request,
        resolved,
        _answer(request, resolved, body.to_request(given, resolved), body.encoding_format == "base64"),
    )


async def _answer(request: Request, resolved: ResolvedModel, asked: EmbeddingRequest, is_base64: bool) -> bytes:
    """Collect the whole answer; vectors are written down as they come, so that no moment is long."""
    collected = EmbeddingCollector(is_base64=is_base64)
    async with admit(request, resolved, asked, ENDPOINT, EmbeddingUsageCounter) as under_way:
        async for batch in under_way:
            collected.add(batch)
        return json_codec.encode(collected.answer(resolved.requested_name, under_way.usage))
