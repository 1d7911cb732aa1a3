"""The messages of a chat request, converted to values, and the texts that other fields add to them.

Knows nothing of templates, or of the types of parts.
"""

from collections.abc import Sequence

from homeport.api.chat.content_parts import NO_MEDIA, MessageMedia, read_parts, read_text
from homeport.api.chat.recordings import spoken_text
from homeport.api.chat.schema import ChatMessageParam, PredictionBody
from homeport.domain import validation
from homeport.domain.content import InputPart, Message, TextPart, list_images, text_message
from homeport.domain.errors import InvalidRequest
from homeport.domain.history_reader import RESULT_ROLES, HistoryReader

ROLES = ("system", "developer", "user", "assistant", *RESULT_ROLES)
MAX_MESSAGES = 2048
MAX_PREDICTION_CHARS = 1_000_000
VERBOSITIES = {"low": "Answer as briefly as possible.", "medium": "", "high": "Answer in full detail."}
"""The sentence that each verbosity adds to the system message."""


def parse_messages(messages: Sequence[ChatMessageParam], media: MessageMedia = NO_MEDIA) -> tuple[Message, ...]:
    """Convert all messages. `media`: what their images and audio become, which are refused without it.

    Raises InvalidRequest naming the message and its field.
    """
    reader = HistoryReader()
    parsed = tuple(_message(message, f"messages[{at}]", reader, media) for at, message in enumerate(messages))
    reader.finish()
    if media.images is not None:
        media.images.select(list_images(parsed), "messages")
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
    text = read_text(prediction.content, "prediction.content")
    validation.check_length("prediction.content", text, MAX_PREDICTION_CHARS)
    return text


def _message(message: ChatMessageParam, place: str, reader: HistoryReader, media: MessageMedia) -> Message:
    validation.check_choice(f"{place}.role", message.role, ROLES)
    for name in ("audio", "refusal"):
        if getattr(message, name) is not None and message.role != "assistant":
            raise InvalidRequest(f"Only an assistant's message has '{name}'.", param=f"{place}.{name}")
    validation.check_length(f"{place}.name", message.name, validation.LABEL_CHARS)
    return reader.read(message, _content(message, f"{place}.content", media))


def _content(message: ChatMessageParam, place: str, media: MessageMedia) -> str | Sequence[InputPart]:
    content = message.content
    if message.audio is not None and not content:
        return spoken_text(message.audio, f"{place.rpartition('.')[0]}.audio", media.audio.transcripts)
    if isinstance(content, str):
        parts = message.content_parts
        if not parts or "".join(part.text or part.refusal or "" for part in parts) != content:
            return content
        content = parts
    if content is not None:
        return read_parts(content, message.role, place, media)
    if message.role in ("assistant", "function"):
        return message.refusal or ""
    raise InvalidRequest("Invalid value for 'content': expected a string, got null.", param=place, code="invalid_type")
