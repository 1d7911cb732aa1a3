"""`POST /v1/images/generations`, `/edits` and `/variations`.

Knows nothing of pixels: a file's size and first bytes are looked at here, all else in it by the worker.
"""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from homeport.api import forms, json_codec
from homeport.api.form_values import Form, Upload
from homeport.api.images import model_rules
from homeport.api.images import render as answers
from homeport.api.images.schema import (
    Drawing,
    Edit,
    Generation,
    Prompted,
    ReferringEdit,
    Variation,
)
from homeport.api.request_body import read_json
from homeport.api.runner import opened, origin, whole
from homeport.api.services import Services, caller, registry, services
from homeport.api.streaming import DONE, EventStream
from homeport.domain.errors import InvalidRequest
from homeport.domain.events import Picture, Progress
from homeport.domain.images import ImageRequest, Source
from homeport.domain.models import Resolved

STRICT_BYTES = 4 * 1024 * 1024
"""2023's limit of an image and of a mask."""
MOST_BYTES = 50 * 1024 * 1024
"""Today's limit of an image; here it is that of a whole form."""
_PNG = b"\x89PNG\r\n\x1a\n"
_FILES = ("image", "mask")


async def generate(request: Request) -> Response:
    """Paint from a prompt."""
    body = await read_json(request, Generation)
    body.check()
    return await _answered(request, body, body.asked(), "images")


async def edit(request: Request) -> Response:
    """Repaint what is transparent. The body is a form with files or, as of today, JSON that holds them."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json":
        body = await read_json(request, ReferringEdit)
        body.check()
        return await forms.held(forms.spool_folder(request), lambda folder: _referred(request, body, folder))
    return await forms.answered(request, lambda form: _edited(request, form), MOST_BYTES)


async def vary(request: Request) -> Response:
    """Paint the same again, differently."""
    return await forms.answered(request, lambda form: _varied(request, form), MOST_BYTES)


async def _edited(request: Request, form: Form) -> Response:
    body = form.fields(Edit, *_FILES)
    body.check()
    is_strict = model_rules.rules(body.name).is_strict
    image = await _file(form, "image", is_strict=is_strict)
    mask = await _file(form, "mask", is_strict=True) if "mask" in form.files else None
    source = Source(image, mask, is_strict=is_strict)
    return await _answered(request, body, body.asked(source, body.strength), "image_edits")


async def _referred(request: Request, body: ReferringEdit, folder: Path) -> Response:
    is_strict = model_rules.rules(body.name).is_strict
    image, mask = (folder / name for name in _FILES)
    size = await asyncio.to_thread(body.images[0].lay_down, image, "images[0]", MOST_BYTES)
    await _check(Upload(image, "", size), "images", is_strict=is_strict)
    if body.mask is not None:
        size = await asyncio.to_thread(body.mask.lay_down, mask, "mask", MOST_BYTES)
        await _check(Upload(mask, "", size), "mask", is_strict=True)
    source = Source(image, mask if body.mask else None, is_strict=is_strict, field="images")
    return await _answered(request, body, body.asked(source, body.strength), "image_edits")


async def _varied(request: Request, form: Form) -> Response:
    body = form.fields(Variation, "image")
    body.check()
    source = Source(await _file(form, "image", is_strict=True), is_variation=True)
    return await _answered(request, body, body.asked(source), "image_variations")


async def _file(form: Form, name: str, *, is_strict: bool) -> Path:
    """The upload of a field. Raises InvalidRequest where it is none, several, or not what its endpoint takes."""
    upload = form.file(name)
    await _check(upload, name, is_strict=is_strict)
    return upload.path


async def _check(upload: Upload, name: str, *, is_strict: bool) -> None:
    """Raise InvalidRequest for what 2023's endpoints and today's masks may not be."""
    if is_strict and (upload.size >= STRICT_BYTES or not await asyncio.to_thread(_is_png, upload)):
        raise InvalidRequest(
            f"Invalid '{name}': uploaded image must be a PNG and less than 4 MB.", param=name, code="invalid_image"
        )


def _is_png(upload: Upload) -> bool:
    with upload.path.open("rb") as file:
        return file.read(len(_PNG)) == _PNG


async def _answered(request: Request, body: Drawing, asked: ImageRequest, endpoint: str) -> Response:
    held = services(request)
    resolved = registry(request).resolve(body.name, endpoint)
    if isinstance(body, Prompted) and body.stream:
        kind = "image_generation" if endpoint == "images" else "image_edit"
        frames = answers.Frames(kind, body, int(held.now()))
        source = _events(request, resolved, asked, endpoint, frames)
        return EventStream(source, origin(resolved), ping_s=held.limits.ping_s, stall_s=held.limits.stall_s)
    return await whole(request, resolved, _work(request, resolved, asked, body, endpoint))


async def _work(request: Request, resolved: Resolved, asked: ImageRequest, body: Drawing, endpoint: str) -> bytes:
    held, base = services(request), str(request.base_url)
    data: list[answers.Image] = []
    size = ""
    async with opened(request, resolved, asked, endpoint) as under_way:
        async for batch in under_way:
            for told in batch:
                if isinstance(told, Picture) and told.partial is None:
                    data.append(await _image(held, told, body, base, caller(request).project))
                    size = f"{told.width}x{told.height}"
        usage = under_way.usage
    return json_codec.encode(answers.answer(body, int(held.now()), data, size, usage))


async def _image(held: Services, picture: Picture, body: Drawing, base: str, project: str) -> answers.Image:
    prompt = body.prompt if isinstance(body, Prompted) and model_rules.rules(body.name).tells_prompt else None
    if not body.is_url:
        return answers.Image(b64_json=answers.encoded(picture), revised_prompt=prompt)
    name = await asyncio.to_thread(held.pictures.keep, picture.data, body.format, project)
    return answers.Image(url=f"{base}images/{name}", revised_prompt=prompt)


async def _events(
    request: Request, resolved: Resolved, asked: ImageRequest, endpoint: str, frames: answers.Frames
) -> AsyncGenerator[bytes, None]:
    """The frames of a stream; first, when the request is admitted, nothing."""
    async with opened(request, resolved, asked, endpoint) as under_way:
        yield b""
        async for batch in under_way:
            for told in batch:
                if isinstance(told, Picture | Progress) and (frame := frames.write(told, under_way.usage)):
                    yield frame
        yield DONE
