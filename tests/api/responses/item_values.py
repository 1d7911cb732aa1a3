"""Items and tools as callers send them, and how tests read them."""

from typing import Any

import msgspec

from homeport.api.responses.item_schema import InputItem
from homeport.api.responses.items import read_input
from homeport.domain.content import Message, Part, ReasoningPart, TextPart, ToolCallPart, ToolResultPart, text_message
from homeport.domain.errors import InvalidRequest

CALL = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": '{"a":1}'}
OUTPUT = {"type": "function_call_output", "call_id": "c1", "output": "done"}
SHELL_OUTPUT = {"stdout": "a", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}}


def raw(*values: Any) -> list[msgspec.Raw]:
    """Return values as the JSON of a body."""
    return [msgspec.Raw(msgspec.json.encode(value)) for value in values]


def read(*items: Any) -> list[InputItem]:
    """Return items as checked structs."""
    return read_input(raw(*items))


def thought(text: str) -> dict[str, Any]:
    """Return a reasoning item."""
    return {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": text}]}


def user(text: str) -> Message:
    """Return a message of the user."""
    return text_message("user", text)


def assistant(*parts: Part | str) -> Message:
    """Return a message of the assistant; a string is a text part."""
    return Message("assistant", tuple(TextPart(part) if isinstance(part, str) else part for part in parts))


def call(call_id: str = "c1", name: str = "f", arguments: str = '{"a":1}') -> ToolCallPart:
    """Return a call as a model reads it."""
    return ToolCallPart(call_id, name, arguments)


def result(text: str = "done", call_id: str = "c1") -> Message:
    """Return the message of a call's result."""
    return Message("tool", (ToolResultPart(call_id, text),))


def reasoning(text: str) -> ReasoningPart:
    """Return reasoning as a model reads it."""
    return ReasoningPart(text)


def unseal(token: str) -> str:
    """Return the text of a token that these tests made."""
    if not token.startswith("sealed:"):
        raise InvalidRequest("No.", param="encrypted_content")
    return token.removeprefix("sealed:")
