"""`POST /v1/3d/generations`. Knows nothing of meshes or pixels."""

from functools import partial
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from homeport.api import forms
from homeport.api.image_inputs.collection import ImageInputs
from homeport.api.image_inputs.request_images import images_of
from homeport.api.images.downloads import FileLinks
from homeport.api.request_body import read_json
from homeport.api.request_runner import resolve, run
from homeport.api.services import services
from homeport.api.shapes.convert import add_image, check_body, to_picture_request, to_request
from homeport.api.shapes.prompt_pictures import PromptPictures, resolve_image_model
from homeport.api.shapes.render import ShapeAnswerWriter, ShapeEventWriter, ShapeWriter
from homeport.api.shapes.schema import ShapeBody
from homeport.domain.models import ResolvedModel

CAPABILITY = ENDPOINT = "shapes"


async def generate(request: Request) -> Response:
    """Make shapes of an image, or of a prompt, of which the image model makes pictures first."""
    body = await read_json(request, ShapeBody)
    resolved = resolve(request, body.name, CAPABILITY)
    check_body(body)
    if body.prompt is None:
        return await forms.respond_and_hold(images_of(request), partial(_from_image, request, body, resolved))
    return await forms.respond_and_hold(forms.spool_folder(request), partial(_from_prompt, request, body, resolved))


async def _from_image(request: Request, body: ShapeBody, resolved: ResolvedModel, images: ImageInputs) -> Response:
    image = add_image(body, images)
    await images.save()
    engine_request = to_request(body, (image,) * (body.n or 1))
    writer = _writer(request, body, None)
    return await run(request, resolved, engine_request, writer, endpoint=ENDPOINT, user=body.user)


async def _from_prompt(request: Request, body: ShapeBody, resolved: ResolvedModel, folder: Path) -> Response:
    pictures = PromptPictures(request, resolve_image_model(request), to_picture_request(body), folder, body.user)
    writer = _writer(request, body, pictures)  # it makes the pictures before the engine request, which it replaces
    return await run(request, resolved, to_request(body, ()), writer, endpoint=ENDPOINT, user=body.user)


def _writer(request: Request, body: ShapeBody, pictures: PromptPictures | None) -> ShapeWriter:
    if body.stream:
        return ShapeEventWriter(body, pictures)
    return ShapeAnswerWriter(body, pictures, FileLinks(request), services(request).now)
