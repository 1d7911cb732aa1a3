"""`POST /v1/moderations`: what is harmful in texts and pictures.

Knows nothing of models or thresholds: checks what can be checked without them, lays pictures down for the worker, and
passes the rest on. Pictures are not decoded here.
"""

import asyncio
import shutil
import uuid
from pathlib import Path

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from homeport.api import data_url, json_codec, validation
from homeport.api.moderations.render import ModerationUsageCounter, is_text_only, render_moderation
from homeport.api.request_body import read_json
from homeport.api.runner import admit, respond_whole
from homeport.api.services import registry, services
from homeport.domain.errors import InvalidRequest, excerpt
from homeport.domain.events import ModerationVerdict
from homeport.domain.models import ResolvedModel
from homeport.domain.moderation import (
    ImagePart,
    ModerationPart,
    ModerationRequest,
    TextPart,
)

ENDPOINT = "moderations"
DEFAULT = "omni-moderation-latest"
"""The model of a request that names none, as OpenAI documents it today; in 2023 it was text-moderation-latest."""
MAX_INPUTS, MAX_CHARACTERS = 1024, 1_000_000
MAX_IMAGES, MAX_IMAGE_BYTES = 8, 10_000_000


class TextItem(msgspec.Struct, forbid_unknown_fields=True, tag_field="type", tag="text"):
    """A part that is text."""

    text: str


class ImageUrl(msgspec.Struct, forbid_unknown_fields=True):
    """Where a picture is: a data: URL that holds it."""

    url: str


class ImageItem(msgspec.Struct, forbid_unknown_fields=True, tag_field="type", tag="image_url"):
    """A part that is a picture."""

    image_url: ImageUrl


class ModerationBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The body. A list of texts has a verdict for each, a list of parts one verdict for all of it."""

    input: str | list[str | TextItem | ImageItem]
    model: str | None = None

    def check(self, name: str) -> None:
        """Check everything that needs no model. Raises InvalidRequest naming the field."""
        given = [self.input] if isinstance(self.input, str) else self.input
        validation.check_items("input", given, MAX_INPUTS, 1)
        texts = [each for each in given if isinstance(each, str)]
        images = [each for each in given if isinstance(each, ImageItem)]
        if 0 < len(texts) < len(given):
            raise InvalidRequest(
                "Invalid type for 'input': expected a string, an array of strings, or an array of parts, but got an "
                "array of mixed types instead.",
                param="input",
                code="invalid_type",
            )
        if images and is_text_only(name):
            raise InvalidRequest(
                f"The model `{excerpt(name)}` reads text alone: use `{DEFAULT}` for images.", param="input"
            )
        if len(images) > MAX_IMAGES:
            raise InvalidRequest(
                f"Invalid 'input': at most {MAX_IMAGES} images are judged together, but there are {len(images)}.",
                param="input",
                code="array_above_max_length",
            )
        size = sum(
            len(each if isinstance(each, str) else each.text) for each in given if not isinstance(each, ImageItem)
        )
        if size > MAX_CHARACTERS:
            raise InvalidRequest(
                f"Invalid 'input': at most {MAX_CHARACTERS} characters are judged at once, but there are {size}.",
                param="input",
                code="string_above_max_length",
            )

    def to_request(self, folder: Path) -> ModerationRequest:
        """Turn this, checked, into what an engine is asked for; pictures are laid down in `folder`.

        Raises InvalidRequest for what is no picture in a data: URL.
        """
        given = [self.input] if isinstance(self.input, str) else self.input
        if all(isinstance(each, str) for each in given):
            return ModerationRequest(tuple((TextPart(each),) for each in given if isinstance(each, str)))
        parts: list[ModerationPart] = []
        for at, each in enumerate(given):
            if isinstance(each, TextItem):
                parts.append(TextPart(each.text))
            elif isinstance(each, ImageItem):
                param = f"input[{at}].image_url.url"
                file = folder / str(at)
                data = data_url.decode_image_url(each.image_url.url, param, MAX_IMAGE_BYTES)
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                file.write_bytes(data)
                parts.append(ImagePart(file, param))
        return ModerationRequest((tuple(parts),))


async def create(request: Request) -> Response:
    """Judge each input."""
    body = await read_json(request, ModerationBody)
    name = body.model or DEFAULT
    body.check(name)
    resolved = registry(request).resolve(name, ENDPOINT)
    folder = services(request).spool / uuid.uuid4().hex
    try:
        asked = await asyncio.to_thread(body.to_request, folder)
        return await respond_whole(request, resolved, _answer(request, resolved, asked))
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


async def _answer(request: Request, resolved: ResolvedModel, asked: ModerationRequest) -> bytes:
    verdicts: list[ModerationVerdict] = []
    async with admit(request, resolved, asked, ENDPOINT, ModerationUsageCounter) as under_way:
        async for batch in under_way:
            verdicts += [event for event in batch if isinstance(event, ModerationVerdict)]
    return json_codec.encode(render_moderation(resolved.requested_name, verdicts))
