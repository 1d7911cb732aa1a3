"""The JSON of the events of a response's stream. Fields only; `type` and `sequence_number` are in every event."""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from homeport.api.text_generation.token_logprobs import TokenLogprob


class StreamEvent(msgspec.Struct, frozen=True, kw_only=True):
    """What all events have. `sequence_number` counts the events of a response from 0."""

    type: str
    sequence_number: int | UnsetType = UNSET


class ResponseChanged(StreamEvent, frozen=True, kw_only=True):
    """A response begins or ends."""

    response: Any


class ItemChanged(StreamEvent, frozen=True, kw_only=True):
    """An item begins or ends."""

    output_index: int
    item: Any


class PartChanged(StreamEvent, frozen=True, kw_only=True):
    """A part of an item's content begins or ends."""

    item_id: str
    output_index: int
    content_index: int = 0
    part: Any


class AnnotationAdded(StreamEvent, frozen=True, kw_only=True):
    """A message has a citation. `annotation_index` counts those of a part from 0."""

    type: str = "response.output_text.annotation.added"
    item_id: str
    output_index: int
    content_index: int = 0
    annotation_index: int
    annotation: Any


class SummaryPartChanged(StreamEvent, frozen=True, kw_only=True):
    """A part of a summary begins or ends."""

    item_id: str
    output_index: int
    summary_index: int = 0
    part: Any


class TextWritten(StreamEvent, frozen=True, kw_only=True):
    """More text of a part (`delta`), or all of it (`text`). A message's has log-probabilities."""

    item_id: str
    output_index: int
    content_index: int = 0
    delta: str | UnsetType = UNSET
    text: str | UnsetType = UNSET
    logprobs: Sequence[TokenLogprob] | UnsetType = UNSET


class SummaryWritten(StreamEvent, frozen=True, kw_only=True):
    """More text of a summary (`delta`), or all of it (`text`)."""

    item_id: str
    output_index: int
    summary_index: int = 0
    delta: str | UnsetType = UNSET
    text: str | UnsetType = UNSET


class CallWritten(StreamEvent, frozen=True, kw_only=True):
    """More of a call (`delta`), or all of it: `arguments` of a function, `input` of a custom tool."""

    item_id: str
    output_index: int
    delta: str | UnsetType = UNSET
    name: str | UnsetType = UNSET
    arguments: str | UnsetType = UNSET
    input: str | UnsetType = UNSET


class CallProgressed(StreamEvent, frozen=True, kw_only=True):
    """The server has come further with the call of a hosted tool: `type` says how far."""

    item_id: str
    output_index: int


class PartialImageMade(StreamEvent, frozen=True, kw_only=True):
    """A preview of an image. `partial_image_index` counts them from 0."""

    type: str = "response.image_generation_call.partial_image"
    item_id: str
    output_index: int
    partial_image_index: int
    partial_image_b64: str
    size: str
    quality: str
    background: str
    output_format: str


class ErrorReported(StreamEvent, frozen=True, kw_only=True):
    """Why a response failed."""

    code: str | None
    message: str
    param: str | None
