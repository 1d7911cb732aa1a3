"""`POST /v1/images/generations`, `/edits` and `/variations`.

Knows nothing of pixels: a file's size and first bytes are looked at here, all else in it by the worker.
"""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from homeport.api import forms, json_codec
from homeport.api.form_values import Form, UploadedFile
from homeport.api.images import model_rules
from homeport.api.images import render as answers
from homeport.api.images.schema import (
    BaseImageFields,
    ImageEditBody,
    ImageEditForm,
    ImageGenerationBody,
    ImageVariationForm,
    PromptedImageFields,
)
from homeport.api.request_body import read_json
from homeport.api.runner import admit, model_header, respond_whole
from homeport.api.services import Services, caller, registry, services
from homeport.api.streaming import DONE, EventStream
from homeport.domain.errors import InvalidRequest
from homeport.domain.events import GeneratedImage, ImageProgress
from homeport.domain.images import ImageRequest, ImageSource
from homeport.domain.models import ResolvedModel

STRICT_BYTES = 4 * 1024 * 1024
"""2023's limit of an image and of a mask."""
MAX_FORM_BYTES = 50 * 1024 * 1024
"""Today's limit of an image; here it is that of a whole form."""
_PNG = b"\x89PNG\r\n\x1a\n"
_FILES = ("image", "mask")


async def generate(request: Request) -> Response:
    """Paint from a prompt."""
    body = await read_json(request, ImageGenerationBody)
    body.check()
    return await _respond(request, body, body.to_request(), "images")


async def edit(request: Request) -> Response:
    """Repaint what is transparent. The body is a form with files or, as of today, JSON that holds them."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json":
        body = await read_json(request, ImageEditBody)
        body.check()
        return await forms.respond_and_hold(
            forms.spool_folder(request), lambda folder: _respond_edit_json(request, body, folder)
        )
    return await forms.respond_to_form(request, lambda form: _respond_edit_form(request, form), MAX_FORM_BYTES)


async def vary(request: Request) -> Response:
    """Paint the same again, differently."""
    return await forms.respond_to_form(request, lambda form: _respond_variation(request, form), MAX_FORM_BYTES)


async def _respond_edit_form(request: Request, form: Form) -> Response:
    body = form.fields(ImageEditForm, *_FILES)
    body.check()
    is_strict = model_rules.rules_for(body.name).is_strict
    image = await _file(form, "image", is_strict=is_strict)
    mask = await _file(form, "mask", is_strict=True) if "mask" in form.files else None
    source = ImageSource(image, mask, is_strict=is_strict)
    return await _respond(request, body, body.to_request(source, body.strength), "image_edits")


async def _respond_edit_json(request: Request, body: ImageEditBody, folder: Path) -> Response:
    is_strict = model_rules.rules_for(body.name).is_strict
    image, mask = (folder / name for name in _FILES)
    size = await asyncio.to_thread(body.images[0].write_to, image, "images[0]", MAX_FORM_BYTES)
    await _check(UploadedFile(image, "", size), "images", is_strict=is_strict)
    if body.mask is not None:
        size = await asyncio.to_thread(body.mask.write_to, mask, "mask", MAX_FORM_BYTES)
        await _check(UploadedFile(mask, "", size), "mask", is_strict=True)
    source = ImageSource(image, mask if body.mask else None, is_strict=is_strict, field="images")
    return await _respond(request, body, body.to_request(source, body.strength), "image_edits")


async def _respond_variation(request: Request, form: Form) -> Response:
    body = form.fields(ImageVariationForm, "image")
    body.check()
    source = ImageSource(await _file(form, "image", is_strict=True), is_variation=True)
    return await _respond(request, body, body.to_request(source), "image_variations")


async def _file(form: Form, name: str, *, is_strict: bool) -> Path:
    """The upload of a field. Raises InvalidRequest where it is none, several, or not what its endpoint takes."""
    upload = form.file(name)
    await _check(upload, name, is_strict=is_strict)
    return upload.path


async def _check(upload: UploadedFile, name: str, *, is_strict: bool) -> None:
    """Raise InvalidRequest for what 2023's endpoints and today's masks may not be."""
    if is_strict and (upload.size >= STRICT_BYTES or not await asyncio.to_thread(_is_png, upload)):
        raise InvalidRequest(
            f"Invalid '{name}': uploaded image must be a PNG and less than 4 MB.", param=name, code="invalid_image"
        )


def _is_png(upload: UploadedFile) -> bool:
    with upload.path.open("rb") as file:
        return file.read(len(_PNG)) == _PNG


async def _respond(request: Request, body: BaseImageFields, asked: ImageRequest, endpoint: str) -> Response:
    held = services(request)
    resolved = registry(request).resolve(body.name, endpoint)
    if isinstance(body, PromptedImageFields) and body.stream:
        kind = "image_generation" if endpoint == "images" else "image_edit"
        frames = answers.ImageEventWriter(kind, body, int(held.now()))
        source = _events(request, resolved, asked, endpoint, frames)
        return EventStream(source, model_header(resolved), ping_s=held.limits.ping_s, stall_s=held.limits.stall_s)
    return await respond_whole(request, resolved, _work(request, resolved, asked, body, endpoint))


async def _work(
    request: Request, resolved: ResolvedModel, asked: ImageRequest, body: BaseImageFields, endpoint: str
) -> bytes:
    held, base = services(request), str(request.base_url)
    data: list[answers.Image] = []
    size = ""
    async with admit(request, resolved, asked, endpoint) as under_way:
        async for batch in under_way:
            for told in batch:
                if isinstance(told, GeneratedImage) and told.partial is None:
                    data.append(await _image(held, told, body, base, caller(request).project))
                    size = f"{told.width}x{told.height}"
        usage = under_way.usage
    return json_codec.encode(answers.render_images(body, int(held.now()), data, size, usage))


async def _image(
    held: Services, picture: GeneratedImage, body: BaseImageFields, base: str, project: str
) -> answers.Image:
    prompt = (
        body.prompt
        if isinstance(body, PromptedImageFields) and model_rules.rules_for(body.name).returns_revised_prompt
        else None
    )
    if not body.is_url:
        return answers.Image(b64_json=answers.encode_base64(picture), revised_prompt=prompt)
    name = await asyncio.to_thread(held.images.save, picture.data, body.format, project)
    return answers.Image(url=f"{base}images/{name}", revised_prompt=prompt)


async def _events(
    request: Request, resolved: ResolvedModel, asked: ImageRequest, endpoint: str, frames: answers.ImageEventWriter
) -> AsyncGenerator[bytes, None]:
    """The frames of a stream; first, when the request is admitted, nothing."""
    async with admit(request, resolved, asked, endpoint) as under_way:
        yield b""
        async for batch in under_way:
            for told in batch:
                if isinstance(told, GeneratedImage | ImageProgress) and (frame := frames.write(told, under_way.usage)):
                    yield frame
        yield DONE
