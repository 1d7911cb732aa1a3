"""Converts messages to the turns that chat templates get, and these to a template's variables.

Knows nothing of a particular template (`TurnStyle` says what one wants), of placeholders or of tokens.
"""

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple, NoReturn

import msgspec

from homeport.domain.content import Message, ReasoningPart, ToolCallPart, ToolResultPart
from homeport.domain.errors import InvalidRequest
from homeport.domain.tools import Tool

INPUT = "input"
"""The only argument of a custom tool."""
NO_PARAMETERS: Mapping[str, Any] = {"type": "object", "properties": {}}
MAX_DEPTH = 100
"""Of objects and arrays in arguments and parameters: writing them recurses."""
_LIMIT = f"nested at most {MAX_DEPTH} levels deep"
_SHORT_ID = 9
_ID_SIGNS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:")
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"

IdForm = Literal["any", "short", "numbered"]
Change = Callable[[str, bool], str]
"""Changes a string of a tool or call; the second argument: whether it is a key or a name."""


class TurnCall(msgspec.Struct, frozen=True):
    """A call of an earlier turn, with decoded arguments."""

    id: str
    name: str
    arguments: dict[str, Any]


class PromptTurn(msgspec.Struct, frozen=True):
    """One message as templates see it. `call_id` and `call_name`: the call whose result it is."""

    role: str
    content: str
    name: str = ""
    reasoning: str = ""
    calls: tuple[TurnCall, ...] = ()
    call_id: str = ""
    call_name: str = ""


class TurnTexts(NamedTuple):
    """The texts of one turn that a template only inserts, or their placeholders."""

    content: str
    name: str
    reasoning: str


class TurnStyle(msgspec.Struct, frozen=True):
    """What one template wants.

    `has_parts`: contents are lists of parts. `has_null_content`: the content of a turn with calls and no text is None,
    else empty. `has_text_arguments`: arguments are JSON text, else objects. `ids`: the form of calls' ids: `any`,
    `short` (nine letters and digits) or `numbered` (`functions.NAME:NUMBER`). `reasoning_field`: where it reads earlier
    reasoning; empty: nowhere. `splits_content`: a turn has either text or calls. `splits_calls`: a turn has one call.
    """

    has_parts: bool = False
    has_null_content: bool = False
    has_text_arguments: bool = False
    ids: IdForm = "any"
    reasoning_field: str = ""
    splits_content: bool = False
    splits_calls: bool = False


def decode_arguments(call: ToolCallPart, param: str, *, is_custom: bool) -> dict[str, Any]:
    """Decode a call's arguments; a custom tool's input becomes one argument. Raises InvalidRequest (`param`)."""
    if not call.arguments.strip() and not is_custom:
        return {}
    value = _decode_object(call.arguments)
    if is_custom and (value is None or list(value) != [INPUT]):
        return {INPUT: call.arguments}
    if value is None:
        raise InvalidRequest(f"The arguments of a tool call must be a JSON object, {_LIMIT}.", param=param)
    return value


def list_turns(messages: Sequence[Message], custom: Iterable[str] = ()) -> list[PromptTurn]:
    """Convert messages; a message with several results becomes several turns. `custom`: names of custom tools.

    Raises InvalidRequest for arguments that are not a JSON object.
    """
    names: dict[str, str] = {}
    customs = frozenset(custom)
    turns: list[PromptTurn] = []
    for at, message in enumerate(messages):
        results = [part for part in message.parts if isinstance(part, ToolResultPart)]
        parts = [part for part in message.parts if isinstance(part, ToolCallPart)]
        calls = []
        for index, part in enumerate(parts):
            param = f"messages[{at}].tool_calls[{index}].function.arguments"
            names[part.id] = part.name
            calls.append(TurnCall(part.id, part.name, decode_arguments(part, param, is_custom=part.name in customs)))
        turns += [
            PromptTurn("tool", part.text, call_id=part.call_id, call_name=names.get(part.call_id, ""))
            for part in results
        ]
        if message.text or not results:
            thought = "".join(part.text for part in message.parts if isinstance(part, ReasoningPart))
            turns.append(PromptTurn(message.role, message.text, message.name or "", thought, tuple(calls)))
    return turns


def apply_style(turns: Sequence[PromptTurn], style: TurnStyle) -> list[PromptTurn]:
    """Split turns and rename ids as a template wants them."""
    split = list(_split_calls(turns) if style.splits_calls else turns)
    if style.splits_content:
        split = [part for turn in split for part in _split_content(turn)]
    ids: dict[str, str] = {}
    renamed: list[PromptTurn] = []
    for turn in split:
        for call in turn.calls:
            ids[call.id] = _id(call, len(ids), style.ids)
        calls = tuple(msgspec.structs.replace(call, id=ids[call.id]) for call in turn.calls)
        call_id = turn.call_id and ids.get(turn.call_id, _plain_id(turn.call_id, style.ids))
        renamed.append(msgspec.structs.replace(turn, calls=calls, call_id=call_id))
    return renamed


def message_variables(
    turns: Sequence[PromptTurn], texts: Sequence[TurnTexts], style: TurnStyle, change: Change
) -> list[dict[str, Any]]:
    """Return the turns as `transformers` passes them to templates, with `texts` and changed calls."""
    return [_variables(turn, text, style, change) for turn, text in zip(turns, texts, strict=True)]


def tool_variables(tools: Sequence[Tool], change: Change) -> list[dict[str, Any]]:
    """Return the tools as `transformers` passes them. Raises InvalidRequest for parameters that are not an object."""
    return [
        {
            "type": "function",
            "function": {
                "name": change(tool.name, True),
                "description": change(tool.description, False),
                "parameters": change_strings(tool_parameters(tool), change),
            },
        }
        for tool in tools
    ]


def tool_parameters(tool: Tool) -> Any:
    """Return the JSON Schema of a tool's arguments. Raises InvalidRequest if it is not a JSON object."""
    if tool.is_custom:
        return {"type": "object", "properties": {INPUT: {"type": "string"}}, "required": [INPUT]}
    if tool.parameters is None:
        return NO_PARAMETERS
    schema = _decode_object(tool.parameters)
    if schema is None:
        raise InvalidRequest(
            f"The parameters of a tool must be a JSON object, {_LIMIT}.", param=f"{tool.param}.parameters"
        )
    return schema


def change_strings(value: Any, change: Change) -> Any:
    """Return a JSON value with all its strings and keys changed."""
    if isinstance(value, str):
        return change(value, False)
    if isinstance(value, dict):
        return {change(key, True): change_strings(each, change) for key, each in value.items()}
    if isinstance(value, list):
        return [change_strings(each, change) for each in value]
    return value


def _variables(turn: PromptTurn, texts: TurnTexts, style: TurnStyle, change: Change) -> dict[str, Any]:
    content: Any = [{"type": "text", "text": texts.content}] if style.has_parts else texts.content
    if turn.calls and not texts.content:
        content = None if style.has_null_content else [] if style.has_parts else ""
    variables: dict[str, Any] = {"role": turn.role, "content": content}
    if texts.name:
        variables["name"] = texts.name
    if texts.reasoning and style.reasoning_field:
        variables[style.reasoning_field] = texts.reasoning
    if turn.calls:
        variables["tool_calls"] = [_call(call, style, change) for call in turn.calls]
    if turn.call_id:
        variables["tool_call_id"] = change(turn.call_id, True)
        if turn.call_name:
            variables["name"] = change(turn.call_name, True)
    return variables


def _call(call: TurnCall, style: TurnStyle, change: Change) -> dict[str, Any]:
    arguments = change_strings(call.arguments, change)
    return {
        "type": "function",
        "id": change(call.id, True),
        "function": {
            "name": change(call.name, True),
            "arguments": json.dumps(arguments, ensure_ascii=False) if style.has_text_arguments else arguments,
        },
    }


def _split_calls(turns: Sequence[PromptTurn]) -> Iterator[PromptTurn]:
    """Yield each call of a turn with several as a turn of its own, followed by its results."""
    at = 0
    while at < len(turns):
        turn = turns[at]
        at += 1
        if len(turn.calls) < 2:
            yield turn
            continue
        results: list[PromptTurn] = []
        while at < len(turns) and turns[at].call_id:
            results.append(turns[at])
            at += 1
        for index, call in enumerate(turn.calls):
            first = {} if not index else {"content": "", "reasoning": ""}
            yield msgspec.structs.replace(turn, calls=(call,), **first)
            yield from (result for result in results if result.call_id == call.id)
        known = {call.id for call in turn.calls}
        yield from (result for result in results if result.call_id not in known)


def _split_content(turn: PromptTurn) -> Iterator[PromptTurn]:
    if turn.calls and turn.content:
        yield msgspec.structs.replace(turn, calls=())
        yield msgspec.structs.replace(turn, content="", reasoning="")
    else:
        yield turn


def _id(call: TurnCall, number: int, form: IdForm) -> str:
    return f"functions.{call.name}:{number}" if form == "numbered" else _plain_id(call.id, form)


def _plain_id(id: str, form: IdForm) -> str:
    """Return an id as it is if it has the form, else one made from its hash."""
    if form == "short":
        fits = len(id) == _SHORT_ID and id.isascii() and id.isalnum()
    else:
        fits = 0 < len(id) <= 64 and set(id) <= _ID_SIGNS
    if fits:
        return id
    number = int.from_bytes(hashlib.sha256(id.encode("utf-8", "surrogatepass")).digest()[:8], "big")
    letters = []
    for _ in range(_SHORT_ID):
        number, digit = divmod(number, len(_DIGITS))
        letters.append(_DIGITS[digit])
    return "".join(letters)


def _decode_object(text: str) -> dict[str, Any] | None:
    """Decode a JSON object; None if it is none, is nested too deeply, or has a number that JSON cannot express."""
    try:
        value = json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) and _fits_depth(value) else None


def _fits_depth(value: object) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            child
            for each in level
            if isinstance(each, dict | list)
            for child in (each.values() if isinstance(each, dict) else each)
        ]
        if not level:
            return True
    return False


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(text)
    return value
