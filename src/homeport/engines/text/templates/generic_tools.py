"""The protocol for models whose template has no place for tools: they are described in the system message.

Earlier calls become text of the assistant, in the format that the model is asked to use; results become messages of the
role `tool`, or of the user in tags. The tags in a caller's text are broken, so that it cannot pass for a call or a
result. Knows nothing of templates or tokens.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from homeport.domain.tools import Tool
from homeport.engines.text.answers.answer_format import GENERIC_CALLS
from homeport.engines.text.templates.turns import PromptTurn, TurnCall, tool_parameters

_TAGS = re.compile(r"<(?=/?(?:tools|tool_call|tool_response)\s*>)")
_ESCAPED = re.compile(rf"{_TAGS.pattern}|<(?=/?think>)|\[(?=/?THINK\])")
_INTRODUCTION = "You may call tools. The tools, one JSON object per line:"
_EXPLANATION = (
    "To call a tool, write its name and its arguments like this, and nothing after it:\n"
    "<tool_call>\n"
    '{"name": "the tool\'s name", "arguments": {"parameter": "value"}}\n'
    "</tool_call>\n"
    "Otherwise answer as usual."
)


def write_tools(
    turns: Sequence[PromptTurn], tools: Sequence[Tool], *, has_tool_role: bool, default_system: str = ""
) -> list[PromptTurn]:
    """Return turns that are only text. `has_tool_role`: the template writes messages of the role `tool`.

    `default_system`: the template's own system message, kept if the caller has none.

    Without tools, calls and results the turns stay as they are. Raises InvalidRequest for parameters of a tool that are
    no JSON object.
    """
    if not tools and not any(turn.calls or turn.call_id for turn in turns):
        return list(turns)
    written = [_write_calls(turn) for turn in turns] if has_tool_role else _write_results(turns)
    if not tools:
        return written
    description = describe_tools(tools)
    if written and written[0].role in ("system", "developer"):
        first, rest = written[0], written[1:]
    else:
        first, rest = PromptTurn("system", default_system), written
    text = f"{first.content}\n\n{description}" if first.content else description
    return [msgspec.structs.replace(first, content=text), *rest]


def describe_tools(tools: Sequence[Tool]) -> str:
    """Return the text of the system message about the tools."""
    lines = [
        _json({"name": tool.name, "description": tool.description, "parameters": tool_parameters(tool)})
        for tool in tools
    ]
    return "\n".join([_INTRODUCTION, "<tools>", *lines, "</tools>", _EXPLANATION])


def break_tags(text: str) -> str:
    """Return the text with a space in the tags of this protocol."""
    return _TAGS.sub("< ", text)


def _write_calls(turn: PromptTurn) -> PromptTurn:
    """Return a turn whose calls, if any, are part of its content."""
    content = break_tags(turn.content)
    if not turn.calls:
        return msgspec.structs.replace(turn, content=content, name=break_tags(turn.name), call_id="", call_name="")
    calls = GENERIC_CALLS.separator.join(_call(call) for call in turn.calls)
    return msgspec.structs.replace(turn, content=f"{content}\n{calls}" if content else calls, calls=())


def _write_results(turns: Sequence[PromptTurn]) -> list[PromptTurn]:
    """Write consecutive results as one message of the user, in tags."""
    written: list[PromptTurn] = []
    previous: PromptTurn | None = None
    for turn in turns:
        if not turn.call_id:
            written.append(_write_calls(turn))
        else:
            text = f"<tool_response>\n{break_tags(turn.content)}\n</tool_response>"
            if previous is not None and previous.call_id:
                text = f"{written.pop().content}\n{text}"
            written.append(PromptTurn("user", text))
        previous = turn
    return written


def _call(call: TurnCall) -> str:
    name = _escape(json.dumps(call.name)[1:-1])
    return f"{GENERIC_CALLS.begin}{name}{GENERIC_CALLS.name_end}{_json(call.arguments)}{GENERIC_CALLS.end}"


def _json(value: Mapping[str, Any]) -> str:
    return _escape(json.dumps(value, ensure_ascii=False))


def _escape(text: str) -> str:
    """Escape, in JSON, the tags of this protocol and those of thoughts, which templates look for."""
    return _ESCAPED.sub(lambda match: f"\\u{ord(match.group()):04x}", text)
