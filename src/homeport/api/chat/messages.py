"""The messages of a chat request, converted to values, and the texts that other fields add to them.

Knows nothing of templates. Images, audio and files are refused by name.
"""

from collections.abc import Sequence

from homeport.api.chat.schema import ChatMessageParam, ContentPartBody, PredictionBody
from homeport.domain import validation
from homeport.domain.content import Message, TextPart, text_message
from homeport.domain.errors import InvalidRequest
from homeport.domain.history_reader import RESULT_ROLES, HistoryReader

ROLES = ("system", "developer", "user", "assistant", *RESULT_ROLES)
MAX_MESSAGES = 2048
MAX_PARTS = 2048
MAX_PREDICTION_CHARS = 1_000_000
VERBOSITIES = {"low": "Answer as briefly as possible.", "medium": "", "high": "Answer in full detail."}
"""The sentence that each verbosity adds to the system message."""


def parse_messages(messages: Sequence[ChatMessageParam]) -> tuple[Message, ...]:
    """Convert all messages. Raises InvalidRequest naming the message and its field."""
    reader = HistoryReader()
    parsed = tuple(_message(message, f"messages[{at}]", reader) for at, message in enumerate(messages))
    reader.finish()
    return parsed


def add_verbosity(messages: tuple[Message, ...], verbosity: str | None) -> tuple[Message, ...]:
    """Add the sentence of a verbosity to the system message, or before all messages if there is none."""
    validation.check_choice("verbosity", verbosity, tuple(VERBOSITIES))
    sentence = VERBOSITIES[verbosity or "medium"]
    if not sentence:
        return messages
    if messages[0].role not in ("system", "developer"):
        return (text_message("system", sentence), *messages)
    first = messages[0]
    extended = Message(first.role, (*first.parts, TextPart(f"\n\n{sentence}" if first.text else sentence)), first.name)
    return (extended, *messages[1:])


def parse_prediction(prediction: PredictionBody | None) -> str:
    """Return the text that the answer is likely to repeat. Raises InvalidRequest naming the field."""
    if prediction is None:
        return ""
    if prediction.type is None:
        raise validation.missing("prediction.type")
    validation.check_choice("prediction.type", prediction.type, ("content",))
    if prediction.content is None:
        raise validation.missing("prediction.content")
    text = _join(prediction.content, "user", "prediction.content")
    validation.check_length("prediction.content", text, MAX_PREDICTION_CHARS)
    return text


def _message(message: ChatMessageParam, place: str, reader: HistoryReader) -> Message:
    validation.check_choice(f"{place}.role", message.role, ROLES)
    if message.audio:
        raise validation.unsupported_field(f"{place}.audio", "Audio is not served yet.")
    if message.refusal is not None and message.role != "assistant":
        raise InvalidRequest("Only an assistant's message has a 'refusal'.", param=f"{place}.refusal")
    validation.check_length(f"{place}.name", message.name, validation.LABEL_CHARS)
    return reader.read(message, _content(message, f"{place}.content"))


def _content(message: ChatMessageParam, place: str) -> str | None:
    if message.content is not None:
        return _join(message.content, message.role, place)
    if message.role in ("assistant", "function"):
        return message.refusal
    raise InvalidRequest("Invalid value for 'content': expected a string, got null.", param=place, code="invalid_type")


def _join(content: str | list[ContentPartBody], role: str, place: str) -> str:
    if isinstance(content, str):
        return content
    validation.check_items(place, content, MAX_PARTS, 1)
    return "".join(_text(part, role, place, f"{place}[{at}]") for at, part in enumerate(content))


def _text(part: ContentPartBody, role: str, content: str, place: str) -> str:
    if part.prompt_cache_breakpoint:
        validation.check_choice(
            f"{place}.prompt_cache_breakpoint.mode", part.prompt_cache_breakpoint.mode, ("explicit",)
        )
    if part.type in ("image_url", "input_audio", "file"):
        raise InvalidRequest(
            f"Invalid content type. {part.type} is only supported by certain models.",
            param=content,
            code="unsupported_content_type",
        )
    kinds = ("text", "refusal") if role == "assistant" else ("text",)
    validation.check_choice(f"{place}.type", part.type, kinds)
    text = part.text if part.type == "text" else part.refusal
    stray = [name for name in ("text", "refusal", "image_url", "input_audio", "file") if name != part.type]
    for name in stray:
        if getattr(part, name) is not None:
            raise InvalidRequest(f"A part of type '{part.type}' has no '{name}'.", param=f"{place}.{name}")
    if text is None:
        raise validation.missing(f"{place}.{part.type}")
    return text
