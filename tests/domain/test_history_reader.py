"""Calls and results in conversations: every form, and every error with its message and field."""

from typing import Any

import msgspec
import pytest

from homeport.domain.content import Message, ReasoningPart, TextPart, ToolCallPart, ToolResultPart, text_message
from homeport.domain.errors import InvalidRequest
from homeport.domain.history import AnswerFields
from homeport.domain.history_reader import HistoryReader


class Turn(AnswerFields, kw_only=True):
    """A message as JSON."""

    role: str
    content: str | None = None
    name: str | None = None
    tool_call_id: str | None = None


def called(id: str = "call_1", arguments: Any = "{}", name: str = "f") -> dict[str, Any]:
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def answer(*calls: Any, **fields: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": None, "tool_calls": list(calls), **fields}


def result(id: str, content: str = "r") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": id, "content": content}


USER = {"role": "user", "content": "q"}


def read(*turns: dict[str, Any]) -> list[Message]:
    reader = HistoryReader()
    messages = [reader.read(turn, turn.content) for turn in msgspec.convert(turns, list[Turn])]
    reader.finish()
    return messages


def test_calls_without_text_have_no_text_part() -> None:
    """Null and empty content beside calls make no part; without calls the text is empty."""
    for content in (None, ""):
        assert read(USER, answer(called(), content=content), result("call_1"))[1].parts == (
            ToolCallPart("call_1", "f", "{}"),
        )
    assert read({"role": "assistant", "content": None}) == [text_message("assistant", "")]


def test_reasoning_has_two_names() -> None:
    """`reasoning_content` and `reasoning` mean the same, and both together are one thought."""
    for fields in (
        {"reasoning_content": "Hm."},
        {"reasoning": "Hm."},
        {"reasoning_content": "Hm.", "reasoning": "Hm."},
    ):
        (message,) = read({"role": "assistant", "content": "x", **fields})
        assert message.parts == (ReasoningPart("Hm."), TextPart("x"))


def test_results_may_come_in_any_order_and_ids_may_repeat_in_later_turns() -> None:
    """Each call of a turn needs one result; the next turn may use the same ids again."""
    turn = [answer(called("a"), called("b")), result("b"), result("a")]
    messages = read(USER, *turn, *turn)
    assert [part for message in messages[2:4] for part in message.parts] == [
        ToolResultPart("b", "r"),
        ToolResultPart("a", "r"),
    ]
    assert messages[4:] == messages[1:4]


def test_fields_that_clients_add_to_calls_are_ignored() -> None:
    """A stream's index, the client's parse of the arguments and a null type are accepted."""
    call = called()
    call = {**call, "index": 0, "type": None, "function": {**call["function"], "parsed_arguments": {"a": 1}}}
    assert read(answer(call), result("call_1"))[0].parts == (ToolCallPart("call_1", "f", "{}"),)


@pytest.mark.parametrize("arguments", ["", " \n"])
def test_no_arguments_are_an_empty_object(arguments: str) -> None:
    """Empty arguments, as several servers write them, are those of a call without arguments."""
    assert read(answer(called(arguments=arguments)), result("call_1"))[0].parts == (ToolCallPart("call_1", "f", "{}"),)


def test_arguments_stay_as_they_were_written() -> None:
    """White space and the order of keys are kept, so that the prompt's prefix stays the same."""
    arguments = '{ "b": [1,  2], "a": {"c": null} }'
    assert read(answer(called(arguments=arguments)), result("call_1"))[0].parts == (
        ToolCallPart("call_1", "f", arguments),
    )


def test_calls_of_2023_get_ids() -> None:
    """A function's result belongs to the call before it; ids of several turns differ."""
    turn: list[dict[str, Any]] = [
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": "r"},
    ]
    messages = read(USER, *turn, *turn)
    ids = []
    for call, result in (messages[1:3], messages[3:5]):
        ((called,), (answered,)) = call.parts, result.parts
        assert isinstance(called, ToolCallPart)
        assert answered == ToolResultPart(called.id, "r")
        assert (result.role, result.name) == ("tool", "f")
        ids.append(called.id)
    assert len(set(ids)) == 2


def test_a_function_of_2023_needs_no_call_and_a_call_no_result() -> None:
    """As at OpenAI, 2023's calls and results are not matched."""
    call = {"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}}
    assert len(read(USER, call, USER, {"role": "function", "name": "g", "content": None})) == 4


PLACE = "messages[1].tool_calls[0]"
WRONG: list[tuple[list[dict[str, Any]], str, str]] = [
    ([result("call_1")], "messages[1].role", "must be a response to a preceeding message with 'tool_calls'"),
    ([answer(called("a")), result("b")], "messages[2].tool_call_id", "'tool_call_id' of 'b' not found"),
    ([answer(called("a")), result("a"), result("a")], "messages[3].role", "must be a response"),
    ([answer(called("a")), USER], "messages[2].role", "did not have response messages: a"),
    ([answer(called("a"), called("b")), result("b"), USER], "messages[3].role", "did not have response messages: a"),
    ([answer(called("a"))], "messages", "must be followed by tool messages responding to each 'tool_call_id'"),
    ([{"role": "tool", "content": "x"}], "messages[1].tool_call_id", "Missing"),
    ([{"role": "function", "content": "x"}], "messages[1].name", "Missing"),
    ([{"role": "function", "name": "a b", "content": "x"}], "messages[1].name", "pattern"),
    ([answer({**called(), "id": None})], f"{PLACE}.id", "Missing"),
    ([answer(called(""))], f"{PLACE}.id", "minimum length 1"),
    ([answer(called("x" * 1025))], f"{PLACE}.id", "maximum length 1024"),
    ([answer({**called(), "type": "magic"})], f"{PLACE}.type", "'function', 'custom'"),
    ([answer({"id": "1", "type": "function"})], f"{PLACE}.function", "Missing"),
    ([answer({"id": "1", "type": "custom"})], f"{PLACE}.custom", "Missing"),
    ([answer({"id": "1", "type": "custom", "custom": {"name": "c"}})], f"{PLACE}.custom.input", "Missing"),
    ([answer(called(name="a b"))], f"{PLACE}.function.name", "pattern"),
    ([answer(called(arguments=None))], f"{PLACE}.function.arguments", "Missing"),
    ([answer(called(arguments="{"))], f"{PLACE}.function.arguments", "must be a JSON object"),
    ([answer(called(arguments="[]"))], f"{PLACE}.function.arguments", "must be a JSON object"),
    ([answer(called(arguments='"{}"'))], f"{PLACE}.function.arguments", "must be a JSON object"),
    ([answer(called(arguments='{"a": NaN}'))], f"{PLACE}.function.arguments", "must be a JSON object"),
    ([answer(called(arguments='{"a":' * 65 + "1" + "}" * 65))], f"{PLACE}.function.arguments", "too deeply"),
    ([answer(called(arguments='{"a":' * 9999 + "1" + "}" * 9999))], f"{PLACE}.function.arguments", "too deeply"),
    ([answer(called(arguments=" " * 1_000_001))], f"{PLACE}.function.arguments", "too long"),
    ([answer(*(called(str(at)) for at in range(129)))], "messages[1].tool_calls", "maximum length 128"),
    (
        [{"role": "assistant", "function_call": {"name": "f", "arguments": "x"}}],
        "messages[1].function_call.arguments",
        "must be a JSON object",
    ),
    (
        [answer(called(), function_call={"name": "f", "arguments": "{}"})],
        "messages[1].function_call",
        "either 'tool_calls' or 'function_call'",
    ),
    ([{**USER, "tool_calls": [called()]}], "messages[1].tool_calls", "Only an assistant's message"),
    ([{**USER, "reasoning": "Hm."}], "messages[1].reasoning", "Only an assistant's message"),
    ([{**USER, "tool_call_id": "1"}], "messages[1].tool_call_id", "Only a message of role 'tool'"),
]


@pytest.mark.parametrize(("turns", "param", "words"), WRONG, ids=[f"{p}-{i}" for i, (_, p, _) in enumerate(WRONG)])
def test_what_does_not_belong_together_is_named(turns: list[dict[str, Any]], param: str, words: str) -> None:
    """The error names the message and the field, in OpenAI's words."""
    with pytest.raises(InvalidRequest) as found:
        read(USER, *turns)
    assert found.value.param == param
    assert words in found.value.message
    assert len(found.value.message) < 500
