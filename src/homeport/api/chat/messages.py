"""The messages of a chat request, read into plain turns.

Knows nothing of templates. What is not plain text (images, sound, files, tool calls) is refused by name.
"""

from homeport.api import validation
from homeport.api.chat.schema import ChatMessageParam, ContentPartBody
from homeport.domain.errors import InvalidRequest
from homeport.domain.history import find_unserved
from homeport.domain.text import Message

ROLES = ("system", "developer", "user", "assistant")
MOST_PARTS = 2048
TOOL_ROLES = ("tool", "function")


def parse_messages(messages: list[ChatMessageParam]) -> tuple[Message, ...]:
    """Read all messages. Raises InvalidRequest naming the message and its field."""
    return tuple(_message(turn, f"messages[{at}]") for at, turn in enumerate(messages))


def _message(turn: ChatMessageParam, place: str) -> Message:
    if turn.role in TOOL_ROLES:
        raise validation.unsupported_field(f"{place}.role", f"Messages of role '{turn.role}' are not served yet.")
    validation.check_choice(f"{place}.role", turn.role, ROLES)
    unserved = "tool_call_id" if turn.tool_call_id else find_unserved(turn)
    if unserved is not None:
        why = "Sound is not served yet." if unserved == "audio" else "Tool calls are not served yet."
        raise validation.unsupported_field(f"{place}.{unserved}", why)
    if turn.refusal is not None and turn.role != "assistant":
        raise InvalidRequest("Only an assistant's message has a 'refusal'.", param=f"{place}.refusal")
    validation.check_length(f"{place}.name", turn.name, validation.LABEL_CHARS)
    return Message(turn.role, _content(turn, f"{place}.content"), turn.name)


def _content(turn: ChatMessageParam, place: str) -> str:
    if isinstance(turn.content, str):
        return turn.content
    if turn.content is None:
        if turn.role == "assistant":
            return turn.refusal or ""
        raise InvalidRequest(
            "Invalid value for 'content': expected a string, got null.", param=place, code="invalid_type"
        )
    validation.check_items(place, turn.content, MOST_PARTS, 1)
    return "".join(_text(part, turn.role, place, f"{place}[{at}]") for at, part in enumerate(turn.content))


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
        raise InvalidRequest(
            f"Missing required parameter: '{place}.{part.type}'.",
            param=f"{place}.{part.type}",
            code="missing_required_parameter",
        )
    return text
