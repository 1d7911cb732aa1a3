"""How pictures are written down: the whole answer, and the events of a stream. Knows nothing of how they came about."""

import base64
from typing import Any

import msgspec

from homeport.api import json_codec
from homeport.api.images.schema import BaseImageFields, PromptedImageFields
from homeport.api.streaming import sse_event
from homeport.domain.events import GeneratedImage, ImageProgress, Usage


class Image(msgspec.Struct, omit_defaults=True):
    """One picture in an answer. `revised_prompt`: the prompt that was used, which DALL·E 3 tells."""

    url: str | None = None
    b64_json: str | None = None
    revised_prompt: str | None = None


class ImageInputDetails(msgspec.Struct):
    """What the input's tokens were."""

    text_tokens: int
    image_tokens: int = 0


class ImageUsage(msgspec.Struct):
    """What it cost, in tokens where the model has any."""

    total_tokens: int
    input_tokens: int
    output_tokens: int
    input_tokens_details: ImageInputDetails

    @classmethod
    def of(cls, usage: Usage) -> "ImageUsage":
        """OpenAI's form of our count."""
        spent = usage.prompt_tokens + usage.completion_tokens
        return cls(spent, usage.prompt_tokens, usage.completion_tokens, ImageInputDetails(usage.prompt_tokens))


class Images(msgspec.Struct, omit_defaults=True):
    """A whole answer. Behind `data` stands what today's API adds."""

    created: int
    data: list[Image]
    background: str | None = None
    output_format: str | None = None
    size: str | None = None
    quality: str | None = None
    usage: ImageUsage | None = None


class PartialEvent(msgspec.Struct):
    """An unfinished picture. `image_index`, an extension: which of `n`."""

    type: str
    b64_json: str
    created_at: int
    size: str
    quality: str
    background: str
    output_format: str
    partial_image_index: int
    image_index: int


class CompletedEvent(msgspec.Struct):
    """A finished picture."""

    type: str
    b64_json: str
    created_at: int
    size: str
    quality: str
    background: str
    output_format: str
    usage: ImageUsage
    image_index: int


class ProgressEvent(msgspec.Struct):
    """A step is done; an extension that has to be asked for."""

    type: str
    image_index: int
    step: int
    steps: int


def render_images(body: BaseImageFields, created: int, data: list[Image], size: str, usage: Usage) -> Images:
    """The whole answer, all pictures of `size`."""
    made = Images(created, data)
    if isinstance(body, PromptedImageFields):
        made.background, made.size = "opaque", size
        made.output_format, made.quality = body.format.value, _quality(body)
        made.usage = ImageUsage.of(usage) if usage.prompt_tokens + usage.completion_tokens else None
    return made


def encode_base64(picture: GeneratedImage) -> str:
    """A picture's bytes as text."""
    return base64.b64encode(picture.data).decode()


class ImageEventWriter:
    """Writes one request's events as frames. `kind`: `image_generation` or `image_edit`."""

    def __init__(self, kind: str, body: PromptedImageFields, created: int) -> None:
        self._kind = kind
        self._body = body
        self._created = created

    def write(self, told: GeneratedImage | ImageProgress, usage: Usage) -> bytes:
        """One event; nothing where it was not asked for."""
        if isinstance(told, ImageProgress):
            if not self._body.progress:
                return b""
            return _frame(ProgressEvent(f"{self._kind}.progress", told.image_index, told.step, told.steps))
        looks: dict[str, Any] = {
            "b64_json": encode_base64(told),
            "created_at": self._created,
            "size": f"{told.width}x{told.height}",
            "quality": _quality(self._body),
            "background": "opaque",
            "output_format": self._body.format.value,
            "image_index": told.image_index,
        }
        if told.partial is not None:
            kind = f"{self._kind}.partial_image"
            return _frame(PartialEvent(type=kind, partial_image_index=told.partial, **looks))
        return _frame(CompletedEvent(type=f"{self._kind}.completed", usage=ImageUsage.of(usage), **looks))


def _frame(told: PartialEvent | CompletedEvent | ProgressEvent) -> bytes:
    return f"event: {told.type}\n".encode() + sse_event(json_codec.encode(told))


def _quality(body: PromptedImageFields) -> str:
    """The quality in today's words."""
    return {"hd": "high", "low": "low", "high": "high"}.get(body.quality or "", "medium")
