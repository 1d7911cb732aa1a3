"""`POST /v1/embeddings`, and 2023's `/v1/engines/{id}/embeddings`."""

from starlette.requests import Request
from starlette.responses import Response

from homeport.api.embeddings.convert import check_images, to_request
from homeport.api.embeddings.render import EmbeddingWriter
from homeport.api.embeddings.schema import CreateEmbeddingBody
from homeport.api.image_inputs.request_images import images_of
from homeport.api.request_body import read_json, run_in_thread_if_large
from homeport.api.request_runner import resolve, run
from homeport.api.services import registry


async def create(request: Request) -> Response:
    """Return a vector for each input."""
    body = await read_json(request, CreateEmbeddingBody)
    resolved = resolve(request, body.model, "embeddings")
    async with images_of(request) as images:
        engine_request = await run_in_thread_if_large(request, to_request, body, resolved, images)
        check_images(engine_request, resolved, lambda: registry(request).models())
        await images.save()
        writer = EmbeddingWriter(is_base64=body.encoding_format == "base64")
        return await run(request, resolved, engine_request, writer, endpoint="embeddings", user=body.user)
