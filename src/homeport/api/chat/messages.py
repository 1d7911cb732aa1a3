"""The messages of a chat request, converted to plain text.

Knows nothing of templates. Everything but text (images, audio, files, tool calls) is refused by name.
"""

from homeport.api import validation
from homeport.api.chat.schema import ChatMessageParam, ContentPartBody
from homeport.domain.content import Message, text_message
from homeport.domain.errors import InvalidRequest
from homeport.domain.history import find_unserved

ROLES = ("system", "developer", "user", "assistant")
MAX_MESSAGES = 2048
MAX_PARTS = 2048
TOOL_ROLES = ("tool", "function")


def parse_messages(messages: list[ChatMessageParam]) -> tuple[Message, ...]:
    """Convert all messages. Raises InvalidRequest naming the message and its field."""
    return tuple(_message(message, f"messages[{at}]") for at, message in enumerate(messages))


def _message(message: ChatMessageParam, place: str) -> Message:
    if message.role in TOOL_ROLES:
        raise validation.unsupported_field(f"{place}.role", f"Messages of role '{message.role}' are not served yet.")
    validation.check_choice(f"{place}.role", message.role, ROLES)
    unserved = "tool_call_id" if message.tool_call_id else find_unserved(message)
    if unserved is not None:
        why = "Audio is not served yet." if unserved == "audio" else "Tool calls are not served yet."
        raise validation.unsupported_field(f"{place}.{unserved}", why)
    if message.refusal is not None and message.role != "assistant":
        raise InvalidRequest("Only an assistant's message has a 'refusal'.", param=f"{place}.refusal")
    validation.check_length(f"{place}.name", message.name, validation.LABEL_CHARS)
    return text_message(message.role, _content(message, f"{place}.content"), message.name)


def _content(message: ChatMessageParam, place: str) -> str:
    if isinstance(message.content, str):
        return message.content
    if message.content is None:
        if message.role == "assistant":
            return message.refusal or ""
        raise InvalidRequest(
            "Invalid value for 'content': expected a string, got null.", param=place, code="invalid_type"
        )
    validation.check_items(place, message.content, MAX_PARTS, 1)
    return "".join(_text(part, message.role, place, f"{place}[{at}]") for at, part in enumerate(message.content))


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
