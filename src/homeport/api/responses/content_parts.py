"""The parts of messages and of calls' outputs: which are served, and how they are completed to what is returned.

Knows nothing of items, and does not read files or look at images.
"""

from collections.abc import Mapping, Sequence

from msgspec import structs

from homeport.api.image_inputs.collection import DETAILS, MAX_URL_CHARS
from homeport.api.responses.input_files import check_file
from homeport.api.responses.item_schema import ContentPart
from homeport.domain import validation
from homeport.domain.errors import InvalidRequest
from homeport.domain.format_fields import check_depth

MAX_PARTS = 2048

INPUT_KINDS = ("input_text", "input_image", "input_file")
"""The parts that callers write."""
ANSWER_KINDS = ("output_text", "refusal", "input_text")
"""The parts of an assistant's message. OpenAI's schema also allows `input_text`, which is returned as `output_text`."""

_FIELDS: Mapping[str, frozenset[str]] = {
    "input_text": frozenset({"text"}),
    "output_text": frozenset({"text", "annotations", "logprobs", "parsed"}),
    "refusal": frozenset({"refusal"}),
    "input_image": frozenset({"image_url", "file_id", "detail"}),
    "input_file": frozenset({"file_id", "filename", "file_data", "file_url", "detail"}),
}
_ALL_FIELDS = frozenset(ContentPart.__struct_fields__) - {"type", "prompt_cache_breakpoint"}


def complete_parts(
    parts: Sequence[ContentPart], kinds: Sequence[str], place: str, *, is_known: bool = False
) -> tuple[ContentPart, ...]:
    """Check the parts of a message or output, and return them with all fields that answers have.

    `is_known`: the item may be a stored one, whose images can be left out. Raises InvalidRequest naming part and field.
    """
    validation.check_items(place, parts, MAX_PARTS)
    is_answer = "output_text" in kinds
    completed = tuple(_complete(part, kinds, is_answer, f"{place}[{at}]") for at, part in enumerate(parts))
    if not is_known:
        check_images_given(completed, place)
    return completed


def is_left_out(part: ContentPart) -> bool:
    """Return whether a part is an image that is not there: lists of items have images only if they are asked for."""
    return part.type == "input_image" and part.image_url is None and part.file_id is None


def check_images_given(parts: Sequence[ContentPart], place: str) -> None:
    """Raise InvalidRequest for an image that is left out."""
    for at, part in enumerate(parts):
        if is_left_out(part):
            raise validation.missing(f"{place}[{at}].image_url")


def _complete(part: ContentPart, kinds: Sequence[str], is_answer: bool, place: str) -> ContentPart:
    validation.check_choice(f"{place}.type", part.type, kinds)
    for name in _ALL_FIELDS - _FIELDS[part.type]:
        if getattr(part, name) is not None:
            raise InvalidRequest(f"A part of type '{part.type}' has no '{name}'.", param=f"{place}.{name}")
    if part.prompt_cache_breakpoint is not None:
        mode = part.prompt_cache_breakpoint.mode
        validation.check_choice(f"{place}.prompt_cache_breakpoint.mode", mode, ("explicit",))
    if part.type == "input_file":
        check_file(part, place)
        return part
    if part.type == "input_image":
        return _complete_image(part, place)
    name = "refusal" if part.type == "refusal" else "text"
    if getattr(part, name) is None:
        raise validation.missing(f"{place}.{name}")
    if not is_answer or part.type == "refusal":
        return part
    check_depth(part.annotations or [], f"{place}.annotations")
    check_depth(part.logprobs or [], f"{place}.logprobs")
    return structs.replace(
        part, type="output_text", annotations=part.annotations or [], logprobs=part.logprobs or [], parsed=None
    )


def _complete_image(part: ContentPart, place: str) -> ContentPart:
    if part.image_url is not None and part.file_id is not None:
        raise InvalidRequest("Give either 'image_url' or 'file_id'.", param=f"{place}.file_id")
    validation.check_length(f"{place}.image_url", part.image_url, MAX_URL_CHARS, 1)
    validation.check_length(f"{place}.file_id", part.file_id, validation.LABEL_CHARS, 1)
    validation.check_choice(f"{place}.detail", part.detail, DETAILS)
    return structs.replace(part, detail=part.detail or "auto")
