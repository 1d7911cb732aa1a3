"""The JSON of images: a whole answer, and the events of a stream. Knows nothing of HTTP."""

import base64
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from homeport.api import json_codec
from homeport.api.images.downloads import FileLinks
from homeport.api.images.model_rules import rules_for
from homeport.api.images.schema import BaseImageFields, ImageGenerationBody, PromptedImageFields
from homeport.api.streaming import DONE, sse_event
from homeport.api.writer import CollectingWriter, Delivery, Writer
from homeport.domain.events import Event, GeneratedImage, ImageProgress, Usage

BACKGROUND = "opaque"
"""No image has transparency."""


class Image(msgspec.Struct, omit_defaults=True):
    """One image of an answer. `revised_prompt`: the prompt that was used, or what was drawn of it."""

    url: str | None = None
    b64_json: str | None = None
    revised_prompt: str | None = None


class ImageInputDetails(msgspec.Struct):
    """The kinds of the input tokens."""

    text_tokens: int
    image_tokens: int = 0


class ImageUsage(msgspec.Struct):
    """The cost in tokens, if the model has tokens."""

    total_tokens: int
    input_tokens: int
    output_tokens: int
    input_tokens_details: ImageInputDetails


class Images(msgspec.Struct, omit_defaults=True):
    """The body of a whole answer. The fields after `data` belong to today's API."""

    created: int
    data: list[Image]
    background: str | None = None
    output_format: str | None = None
    size: str | None = None
    quality: str | None = None
    usage: ImageUsage | None = None


class PartialEvent(msgspec.Struct):
    """A partial image. `image_index`, an extension: which of `n`."""

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
    """A complete image. `revised_prompt`, an extension: as in whole answers, for a model's own name."""

    type: str
    b64_json: str
    created_at: int
    size: str
    quality: str
    background: str
    output_format: str
    usage: ImageUsage
    image_index: int
    revised_prompt: str | msgspec.UnsetType = msgspec.UNSET


class ProgressEvent(msgspec.Struct):
    """A finished step: an extension, sent only if the caller asks for it."""

    type: str
    image_index: int
    step: int
    steps: int


def image_writer(body: BaseImageFields, links: FileLinks, now: Callable[[], float]) -> Writer:
    """Make the writer that the body asks for: of one answer, or of events. `now`: the wall clock in Unix seconds."""
    if isinstance(body, PromptedImageFields) and body.stream:
        return ImageEventWriter("image_generation" if isinstance(body, ImageGenerationBody) else "image_edit", body)
    return ImageAnswerWriter(body, links, now)


class ImageAnswerWriter(CollectingWriter):
    """Collects the images of one answer. Those with a URL are stored at the end."""

    def __init__(self, body: BaseImageFields, links: FileLinks, now: Callable[[], float]) -> None:
        self._body = body
        self._links = links
        self._now = now
        self._images: list[Image] = []
        self._to_store: list[GeneratedImage] = []
        self._size = ""

    def collect(self, events: Sequence[Event]) -> None:
        """Collect the complete images of a batch of events."""
        for event in events:
            if isinstance(event, GeneratedImage) and event.partial is None:
                self._size = size_of(event)
                if self._body.is_url:
                    self._to_store.append(event)
                else:
                    self._images.append(
                        Image(b64_json=to_base64(event), revised_prompt=_revised_prompt(self._body, event))
                    )

    async def finish(self) -> bytes:
        """Store what gets a URL; return the body. Raises StorageFull."""
        for image in self._to_store:
            url = await self._links.create(image.data, self._body.format)
            self._images.append(Image(url=url, revised_prompt=_revised_prompt(self._body, image)))
        answer = Images(int(self._now()), self._images)
        if isinstance(self._body, PromptedImageFields):
            answer.background, answer.size = BACKGROUND, self._size
            answer.output_format, answer.quality = self._body.format.value, quality_of(self._body)
            has_tokens = self.usage.prompt_tokens + self.usage.completion_tokens
            answer.usage = _render_usage(self.usage) if has_tokens else None
        return json_codec.encode(answer)


class ImageEventWriter(Writer):
    """Writes an event per image and, if the caller asks for it, per step. `kind` begins the events' types."""

    delivery = Delivery.SSE

    def __init__(self, kind: str, body: PromptedImageFields) -> None:
        self._kind = kind
        self._body = body

    def write(self, events: Sequence[Event]) -> bytes:
        """Return the frames of a batch of events."""
        return b"".join(self._frame(event) for event in events if isinstance(event, GeneratedImage | ImageProgress))

    async def finish(self) -> bytes:
        """Return `[DONE]`."""
        return DONE

    def _frame(self, event: GeneratedImage | ImageProgress) -> bytes:
        if isinstance(event, ImageProgress):
            if not self._body.progress:
                return b""
            return _encode(ProgressEvent(f"{self._kind}.progress", event.image_index, event.step, event.steps))
        fields: dict[str, Any] = {
            "b64_json": to_base64(event),
            "created_at": self.answer.created,
            "size": size_of(event),
            "quality": quality_of(self._body),
            "background": BACKGROUND,
            "output_format": self._body.format.value,
            "image_index": event.image_index,
        }
        if event.partial is not None:
            kind = f"{self._kind}.partial_image"
            return _encode(PartialEvent(type=kind, partial_image_index=event.partial, **fields))
        fields["revised_prompt"] = _revised_prompt(self._body, event) or msgspec.UNSET
        return _encode(CompletedEvent(type=f"{self._kind}.completed", usage=_render_usage(self.usage), **fields))


def _revised_prompt(body: BaseImageFields, image: GeneratedImage) -> str | None:
    """Return what was drawn, or the prompt, for the names whose answers contain it."""
    if not isinstance(body, PromptedImageFields) or not rules_for(body.name).returns_revised_prompt:
        return None
    return image.revised_prompt or body.prompt


def _encode(event: PartialEvent | CompletedEvent | ProgressEvent) -> bytes:
    return f"event: {event.type}\n".encode() + sse_event(json_codec.encode(event))


def _render_usage(usage: Usage) -> ImageUsage:
    total = usage.prompt_tokens + usage.completion_tokens
    return ImageUsage(total, usage.prompt_tokens, usage.completion_tokens, ImageInputDetails(usage.prompt_tokens))


def to_base64(image: GeneratedImage) -> str:
    """Return the image's file in base64."""
    return base64.b64encode(image.data).decode()


def size_of(image: GeneratedImage) -> str:
    """Return the size as the API writes it."""
    return f"{image.width}x{image.height}"


def quality_of(body: PromptedImageFields) -> str:
    """Return the quality as today's models name it."""
    return {"hd": "high", "low": "low", "high": "high"}.get(body.quality or "", "medium")
