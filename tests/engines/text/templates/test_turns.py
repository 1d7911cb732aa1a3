"""Messages become the variables that chat templates read."""

import json

import msgspec
import pytest

from homeport.domain.content import Message, ReasoningPart, TextPart, ToolCallPart, ToolResultPart, text_message
from homeport.domain.errors import InvalidRequest
from homeport.domain.tools import Tool
from homeport.engines.text.templates.turns import (
    PromptTurn,
    TurnCall,
    TurnStyle,
    TurnTexts,
    apply_style,
    list_turns,
    message_variables,
    tool_variables,
)


def keep(text: str, _: bool) -> str:
    return text


def variables(turns: list[PromptTurn], style: TurnStyle) -> list[dict[str, object]]:
    texts = [TurnTexts(turn.content, turn.name, turn.reasoning) for turn in turns]
    return message_variables(turns, texts, style, keep)


CALLS = Message(
    "assistant",
    (ReasoningPart("hm"), TextPart("Sure."), ToolCallPart("a", "f", '{"x": 1}'), ToolCallPart("b", "g", "")),
)
RESULTS = Message("tool", (ToolResultPart("a", "one"), ToolResultPart("b", "two")))


def test_calls_and_results_become_turns() -> None:
    """Arguments are decoded, no arguments are none, and each result is a turn that knows its call's name."""
    assert list_turns([text_message("user", "hi", "Ann"), CALLS, RESULTS]) == [
        PromptTurn("user", "hi", "Ann"),
        PromptTurn("assistant", "Sure.", reasoning="hm", calls=(TurnCall("a", "f", {"x": 1}), TurnCall("b", "g", {}))),
        PromptTurn("tool", "one", call_id="a", call_name="f"),
        PromptTurn("tool", "two", call_id="b", call_name="g"),
    ]


@pytest.mark.parametrize(
    "text",
    ["[1]", '"x"', "{", "NaN", '{"x": NaN}', "[" * 100_000, '{"x":' * 101 + "1" + "}" * 101, '{"x": 1e999}', "{}{}"],
)
def test_arguments_that_are_no_object_are_refused(text: str) -> None:
    """The error names the message and the call."""
    message = Message("assistant", (ToolCallPart("a", "f", "{}"), ToolCallPart("b", "g", text)))
    with pytest.raises(InvalidRequest) as raised:
        list_turns([text_message("user", "hi"), message])
    assert raised.value.param == "messages[1].tool_calls[1].function.arguments"


@pytest.mark.parametrize(
    ("text", "value"), [("ls -l", "ls -l"), ('{"input": "ls"}', "ls"), ("", ""), ('{"x": 1}', '{"x": 1}')]
)
def test_a_custom_tools_input_is_one_argument(text: str, value: str) -> None:
    """The text of a custom tool's call is its argument `input`, which an object may hold already."""
    message = Message("assistant", (ToolCallPart("a", "shell", text),))
    assert list_turns([message], ["shell"])[0].calls[0].arguments == {"input": value}


def test_the_variables_are_those_of_transformers() -> None:
    """Calls are functions with an object of arguments, results have the call's id and name."""
    turns = list_turns([CALLS, RESULTS])
    assistant, first, _ = variables(turns, TurnStyle(reasoning_field="thinking"))
    assert assistant == {
        "role": "assistant",
        "content": "Sure.",
        "thinking": "hm",
        "tool_calls": [
            {"type": "function", "id": "a", "function": {"name": "f", "arguments": {"x": 1}}},
            {"type": "function", "id": "b", "function": {"name": "g", "arguments": {}}},
        ],
    }
    assert first == {"role": "tool", "content": "one", "tool_call_id": "a", "name": "f"}


def test_a_style_changes_contents_arguments_and_reasoning() -> None:
    """Contents may be parts or null, arguments text, and reasoning is left out where nothing reads it."""
    style = TurnStyle(has_parts=True, has_null_content=True, has_text_arguments=True)
    silent = msgspec.structs.replace(list_turns([CALLS])[0], content="")
    (found,) = variables([silent], style)
    assert found["content"] is None
    assert "reasoning" not in str(found)
    assert found["tool_calls"][0]["function"]["arguments"] == '{"x": 1}'  # type: ignore[index]
    (found,) = variables([PromptTurn("user", "hi")], style)
    assert found["content"] == [{"type": "text", "text": "hi"}]


def test_ids_take_the_form_that_a_template_wants() -> None:
    """Ids become nine letters and digits, or numbered names, always the same ones, and results follow; others stay."""
    calls = (TurnCall("call_0123456789", "f", {}), TurnCall("abcDEF123", "g", {}))
    turns = [
        PromptTurn("assistant", "", calls=calls),
        PromptTurn("tool", "x", call_id="call_0123456789"),
        PromptTurn("tool", "y", call_id="?"),
    ]
    for form in ("any", "short", "numbered"):
        styled = apply_style(turns, TurnStyle(ids=form))
        assert styled == apply_style(turns, TurnStyle(ids=form))
        ids = [call.id for call in styled[0].calls]
        assert styled[1].call_id == ids[0]
        assert styled[2].call_id.isalnum()
        if form == "any":
            assert ids == ["call_0123456789", "abcDEF123"]
        elif form == "short":
            assert len(ids[0]) == 9
            assert ids[0].isalnum()
            assert ids[1] == "abcDEF123"
        else:
            assert ids == ["functions.f:0", "functions.g:1"]


def test_turns_are_split_where_a_template_needs_it() -> None:
    """Each call gets a turn of its own with its result behind it, and text one before the call."""
    turns = list_turns([CALLS, RESULTS])
    split = apply_style(turns, TurnStyle(splits_content=True, splits_calls=True))
    assert [(turn.role, turn.content, [call.name for call in turn.calls], turn.call_id) for turn in split] == [
        ("assistant", "Sure.", [], ""),
        ("assistant", "", ["f"], ""),
        ("tool", "one", [], "a"),
        ("assistant", "", ["g"], ""),
        ("tool", "two", [], "b"),
    ]


def test_tools_are_functions() -> None:
    """A tool without parameters has an empty object, a custom one its input; bad parameters are an error."""
    tools = (Tool("f", "does", '{"type": "object"}'), Tool("g"), Tool("h", is_custom=True))
    functions = [each["function"] for each in tool_variables(tools, keep)]
    assert [each["name"] for each in functions] == ["f", "g", "h"]
    assert functions[0] == {"name": "f", "description": "does", "parameters": {"type": "object"}}
    assert functions[1]["parameters"] == {"type": "object", "properties": {}}
    assert list(functions[2]["parameters"]["properties"]) == ["input"]
    for text in ("[]", "{", json.dumps("x")):
        with pytest.raises(InvalidRequest) as raised:
            tool_variables((Tool("f", parameters=text, param="tools[3].function"),), keep)
        assert raised.value.param == "tools[3].function.parameters"
