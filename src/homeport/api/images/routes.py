"""`POST /v1/images/generations`, `/edits` and `/variations`. Knows nothing of pixels."""

import asyncio
from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from homeport.api import forms
from homeport.api.form_values import Form
from homeport.api.image_inputs.collection import ImageInputs
from homeport.api.image_inputs.request_images import images_of
from homeport.api.images.convert import (
    FILES,
    MAX_FORM_BYTES,
    edit_body_to_request,
    edit_body_to_source,
    edit_form_to_request,
    generation_to_request,
    variation_to_request,
)
from homeport.api.images.downloads import FileLinks
from homeport.api.images.render import image_writer
from homeport.api.images.schema import (
    BaseImageFields,
    ImageEditBody,
    ImageEditForm,
    ImageGenerationBody,
    ImageVariationForm,
)
from homeport.api.request_body import is_json, read_json
from homeport.api.request_runner import resolve, run
from homeport.api.services import services
from homeport.api.writer import Writer


async def generate(request: Request) -> Response:
    """Generate images from a prompt."""
    body = await read_json(request, ImageGenerationBody)
    resolved = resolve(request, body.name, "images")
    engine_request = generation_to_request(body)
    return await run(request, resolved, engine_request, _writer(request, body), endpoint="images")


async def edit(request: Request) -> Response:
    """Repaint the transparent pixels of an image. The body is a form with files, or JSON that names images."""
    if is_json(request):
        body = await read_json(request, ImageEditBody)
        images = images_of(request, max_bytes=MAX_FORM_BYTES)
        return await forms.respond_and_hold(images, partial(_edit_body, request, body))
    return await forms.respond_to_form(request, partial(_edit_form, request), MAX_FORM_BYTES)


async def vary(request: Request) -> Response:
    """Generate images that resemble an image."""
    return await forms.respond_to_form(request, partial(_vary, request), MAX_FORM_BYTES)


async def _edit_body(request: Request, body: ImageEditBody, images: ImageInputs) -> Response:
    resolved = resolve(request, body.name, "image_edits")
    source = edit_body_to_source(body, images)
    await images.save()
    engine_request = await asyncio.to_thread(edit_body_to_request, body, source)
    return await run(request, resolved, engine_request, _writer(request, body), endpoint="image_edits")


async def _edit_form(request: Request, form: Form) -> Response:
    fields = form.fields(ImageEditForm, *FILES)
    resolved = resolve(request, fields.name, "image_edits")
    engine_request = await asyncio.to_thread(edit_form_to_request, fields, form)
    return await run(request, resolved, engine_request, _writer(request, fields), endpoint="image_edits")


async def _vary(request: Request, form: Form) -> Response:
    fields = form.fields(ImageVariationForm, "image")
    resolved = resolve(request, fields.name, "image_variations")
    engine_request = await asyncio.to_thread(variation_to_request, fields, form)
    return await run(request, resolved, engine_request, _writer(request, fields), endpoint="image_variations")


def _writer(request: Request, body: BaseImageFields) -> Writer:
    return image_writer(body, FileLinks(request), services(request).now)
