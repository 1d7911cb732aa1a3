"""The JSON of tool calls in chats: whole ones and their deltas, of functions, custom tools, and 2023's functions.

Knows nothing of the rest of a message.
"""

from collections.abc import Sequence

import msgspec
from msgspec import UNSET, UnsetType

from homeport.api.chat.schema import ChatBody
from homeport.api.text_generation.choices import ToolCall


class CalledFunction(msgspec.Struct, frozen=True):
    """A call of a function. Deltas have the name only in the first one."""

    name: str | UnsetType
    arguments: str


class CalledCustomTool(msgspec.Struct, frozen=True):
    """A call of a custom tool. Deltas have the name only in the first one."""

    name: str | UnsetType
    input: str


class ToolCallBody(msgspec.Struct, frozen=True, kw_only=True):
    """One of `tool_calls`. Deltas have the index, and id and type only in the first one."""

    index: int | UnsetType = UNSET
    id: str | UnsetType = UNSET
    type: str | UnsetType = UNSET
    function: CalledFunction | UnsetType = UNSET
    custom: CalledCustomTool | UnsetType = UNSET


class CallFields(msgspec.Struct, frozen=True):
    """The fields of a message or of a delta that hold calls: at most one is set."""

    tool_calls: list[ToolCallBody] | UnsetType = UNSET
    function_call: CalledFunction | UnsetType = UNSET


class CallRenderer:
    """Renders the calls of one answer. `is_legacy`: in 2023's form, which has one call; `custom`: the custom tools."""

    def __init__(self, *, is_legacy: bool = False, custom: frozenset[str] = frozenset()) -> None:
        self._is_legacy = is_legacy
        self._custom = custom
        self._custom_calls: set[tuple[int, int]] = set()

    def reason(self, reason: str) -> str:
        """Return the name of a finish reason."""
        return "function_call" if self._is_legacy and reason == "tool_calls" else reason

    def whole(self, calls: Sequence[ToolCall]) -> CallFields:
        """Render all calls of a message."""
        if not calls:
            return CallFields()
        if self._is_legacy:
            return CallFields(function_call=CalledFunction(calls[0].name, calls[0].arguments))
        return CallFields([self._whole_call(call) for call in calls])

    def begin(self, choice: int, index: int, call_id: str, name: str) -> CallFields | None:
        """Render the first delta of a call, without arguments; None if the call is omitted."""
        if self._is_legacy:
            return None if index else CallFields(function_call=CalledFunction(name, ""))
        if name in self._custom:
            self._custom_calls.add((choice, index))
            custom = CalledCustomTool(name, "")
            return CallFields([ToolCallBody(index=index, id=call_id, type="custom", custom=custom)])
        function = CalledFunction(name, "")
        return CallFields([ToolCallBody(index=index, id=call_id, type="function", function=function)])

    def arguments(self, choice: int, index: int, text: str) -> CallFields | None:
        """Render a later delta of a call; None if the call is omitted."""
        if self._is_legacy:
            return None if index else CallFields(function_call=CalledFunction(UNSET, text))
        if (choice, index) in self._custom_calls:
            return CallFields([ToolCallBody(index=index, custom=CalledCustomTool(UNSET, text))])
        return CallFields([ToolCallBody(index=index, function=CalledFunction(UNSET, text))])

    def _whole_call(self, call: ToolCall) -> ToolCallBody:
        if call.name in self._custom:
            return ToolCallBody(id=call.id, type="custom", custom=CalledCustomTool(call.name, call.arguments))
        return ToolCallBody(id=call.id, type="function", function=CalledFunction(call.name, call.arguments))


def call_renderer(body: ChatBody) -> CallRenderer:
    """Make the renderer for the tools of a body, which is checked."""
    custom = frozenset(tool.custom.name for tool in body.tools or () if tool.custom and tool.custom.name)
    return CallRenderer(is_legacy=bool(body.functions), custom=custom)
