"""`POST /v1/moderations`: which texts and images are harmful."""

from starlette.requests import Request
from starlette.responses import Response

from homeport.api.image_inputs.request_images import images_of
from homeport.api.moderations.convert import MAX_IMAGE_BYTES, to_request
from homeport.api.moderations.render import ModerationWriter
from homeport.api.moderations.schema import DEFAULT_MODEL, ModerationBody
from homeport.api.request_body import read_json, run_in_thread_if_large
from homeport.api.request_runner import resolve, run


async def create(request: Request) -> Response:
    """Judge each input."""
    body = await read_json(request, ModerationBody)
    resolved = resolve(request, body.model or DEFAULT_MODEL, "moderations")
    async with images_of(request, max_bytes=MAX_IMAGE_BYTES) as images:
        engine_request = await run_in_thread_if_large(request, to_request, body, resolved, images)
        await images.save()
        return await run(request, resolved, engine_request, ModerationWriter(), endpoint="moderations")
