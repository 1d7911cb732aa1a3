"""The JSON of shapes: a whole answer, and the events of a stream. Knows nothing of HTTP."""

import base64
from collections.abc import AsyncGenerator, Callable, Sequence

import msgspec

from homeport.api import json_codec
from homeport.api.images.downloads import FileLinks
from homeport.api.shapes.convert import to_request
from homeport.api.shapes.prompt_pictures import PromptPictures
from homeport.api.shapes.schema import ShapeBody
from homeport.api.streaming import DONE, sse_event
from homeport.api.writer import Delivery, Writer
from homeport.domain.events import Event, GeneratedShape, ImageProgress, ShapeProgress
from homeport.domain.worker_messages import EngineRequest

_KIND = "shape_generation"


class ShapeData(msgspec.Struct, omit_defaults=True, kw_only=True):
    """One shape of an answer. `points`: of a cloud, or the vertices of a mesh, which has `triangles`.

    `revised_prompt`: what the picture of the prompt shows, as text, if that is not the prompt.
    """

    url: str | None = None
    b64_json: str | None = None
    preview_b64_json: str | None = None
    points: int
    triangles: int
    revised_prompt: str | None = None


class Shapes(msgspec.Struct):
    """The body of a whole answer."""

    created: int
    data: list[ShapeData]
    output_format: str


class ProgressEvent(msgspec.Struct):
    """A finished step. `stage`: `image`, the picture of the prompt, or `shape`."""

    type: str
    stage: str
    shape_index: int
    step: int
    steps: int


class CompletedEvent(ShapeData, omit_defaults=True, kw_only=True):
    """A complete shape."""

    type: str
    shape_index: int
    created_at: int
    output_format: str


class ShapeWriter(Writer):
    """What both kinds of answers share: the pictures of a prompt, which come before the engine request for shapes.

    `pictures` None: the request has an image.
    """

    def __init__(self, body: ShapeBody, pictures: PromptPictures | None) -> None:
        self._body = body
        self._pictures = pictures

    @property
    def has_work(self) -> bool:
        """Whether the pictures of the prompt are still to be made."""
        return self._pictures is not None and not self._pictures.are_made

    async def work(self) -> AsyncGenerator[bytes, None]:
        """Make the pictures; yield what reports the progress."""
        if self._pictures is not None:
            async for event in self._pictures.make():
                yield _frame(event) if self.delivery is Delivery.SSE else b""

    async def next_request(self) -> EngineRequest | None:
        """Return the request for the shapes of the pictures."""
        return to_request(self._body, tuple(self._pictures.files)) if self._pictures is not None else None

    def to_shape(self, event: GeneratedShape, url: str | None = None) -> ShapeData:
        """Return a shape as the answer has it."""
        revised = self._pictures.revised_prompts[event.shape_index] if self._pictures is not None else None
        return ShapeData(
            url=url,
            b64_json=None if url else _base64(event.data),
            preview_b64_json=_base64(event.preview) if event.preview else None,
            points=event.points,
            triangles=event.triangles,
            revised_prompt=revised,
        )


class ShapeAnswerWriter(ShapeWriter):
    """Collects the shapes of one answer. Those with a URL are stored at the end. `now`: Unix seconds."""

    def __init__(
        self, body: ShapeBody, pictures: PromptPictures | None, links: FileLinks, now: Callable[[], float]
    ) -> None:
        super().__init__(body, pictures)
        self._links = links
        self._now = now
        self._shapes: list[GeneratedShape] = []

    def write(self, events: Sequence[Event]) -> bytes:
        """Collect the shapes of a batch of events; return nothing yet."""
        self._shapes += [event for event in events if isinstance(event, GeneratedShape)]
        return b""

    async def finish(self) -> bytes:
        """Store what gets a URL; return the body. Raises StorageFull."""
        data = []
        for shape in self._shapes:
            url = await self._links.create(shape.data, self._body.format) if self._body.is_url else None
            data.append(self.to_shape(shape, url))
        return json_codec.encode(Shapes(int(self._now()), data, self._body.format.value))


class ShapeEventWriter(ShapeWriter):
    """Writes an event per step and per shape."""

    delivery = Delivery.SSE

    def write(self, events: Sequence[Event]) -> bytes:
        """Return the frames of a batch of events."""
        return b"".join(self._frame(event) for event in events if isinstance(event, GeneratedShape | ShapeProgress))

    async def finish(self) -> bytes:
        """Return `[DONE]`."""
        return DONE

    def _frame(self, event: GeneratedShape | ShapeProgress) -> bytes:
        if isinstance(event, ShapeProgress):
            return _frame(event)
        return _encode(
            CompletedEvent(
                **msgspec.structs.asdict(self.to_shape(event)),
                type=f"{_KIND}.completed",
                shape_index=event.shape_index,
                created_at=self.answer.created,
                output_format=self._body.format.value,
            )
        )


def _frame(event: ImageProgress | ShapeProgress) -> bytes:
    """Return the frame of a step of a picture or of a shape."""
    stage, index = ("image", event.image_index) if isinstance(event, ImageProgress) else ("shape", event.shape_index)
    return _encode(ProgressEvent(f"{_KIND}.progress", stage, index, event.step, event.steps))


def _encode(event: ProgressEvent | CompletedEvent) -> bytes:
    return f"event: {event.type}\n".encode() + sse_event(json_codec.encode(event))


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
