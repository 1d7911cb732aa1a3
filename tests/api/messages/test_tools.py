"""Tools of messages: declared, chosen, called; Anthropic's own are refused by name."""

import json
from typing import Any

import pytest

from homeport.domain.events import TextDelta, ToolCallDelta
from homeport.domain.tools import Tool, ToolChoice, ToolUse
from tests.api.fakes import FakeServing, Step
from tests.api.messages.calls import WEATHER, error_of, post, script, sent_prompt

LONG = {"name": "n" * 100, "input_schema": {"type": "object"}}


async def used(**changes: Any) -> ToolUse:
    """Return the tools of a prompt."""
    use = (await sent_prompt(**{"tools": [WEATHER], **changes})).tools
    assert use is not None
    return use


async def test_a_tool_is_a_function_with_its_schema() -> None:
    """Name, description, schema and `strict` are those of the declaration; a hint for the cache changes nothing."""
    (tool,) = (
        await used(tools=[{**WEATHER, "type": "custom", "strict": True, "cache_control": {"type": "ephemeral"}}])
    ).tools
    schema = json.dumps(WEATHER["input_schema"], separators=(",", ":"))
    assert tool == Tool("get_weather", "Get the weather.", schema, is_strict=True, param="tools[0]")


async def test_examples_are_part_of_the_schema() -> None:
    """Examples of the input are the schema's, where templates show them."""
    (tool,) = (await used(tools=[{**WEATHER, "input_examples": [{"city": "Paris"}]}])).tools
    assert json.loads(tool.parameters or "")["examples"] == [{"city": "Paris"}]


@pytest.mark.parametrize(
    ("choice", "expected", "is_parallel"),
    [
        (None, ToolChoice(), True),
        ({"type": "auto"}, ToolChoice(), True),
        ({"type": "auto", "disable_parallel_tool_use": True}, ToolChoice(), False),
        ({"type": "any"}, ToolChoice("required"), True),
        ({"type": "none"}, ToolChoice("none"), True),
        ({"type": "tool", "name": "get_weather"}, ToolChoice("named", ("get_weather",)), True),
    ],
)
async def test_each_choice_is_served(choice: Any, expected: ToolChoice, is_parallel: bool) -> None:
    """Tools may be called, must be, or must not be; and at most once if the caller says so."""
    use = await used(tool_choice=choice)
    assert (use.choice, use.is_parallel) == (expected, is_parallel)


BAD: list[tuple[dict[str, Any], str]] = [
    ({"tools": [{"type": "web_search_20250305", "name": "web_search", "max_uses": 3}]}, "web_search_20250305"),
    ({"tools": [{"type": "bash_20250124", "name": "bash"}]}, "bash_20250124"),
    ({"tools": [{"type": "x" * 5000, "name": "bash"}]}, "tools[0].type"),
    ({"tools": [{"name": "f"}]}, "tools[0].input_schema"),
    ({"tools": [{"name": "f", "input_schema": {"type": "string"}}]}, "tools[0].input_schema"),
    ({"tools": [{"name": "f", "input_schema": "x"}]}, "tools[0].input_schema"),
    ({"tools": [{"input_schema": {}}]}, "tools[0].name"),
    ({"tools": [{"name": "a b", "input_schema": {}}]}, "tools[0].name"),
    ({"tools": [{**WEATHER, "max_uses": 3}]}, "tools[0].max_uses"),
    ({"tools": [{**WEATHER, "allowed_callers": ["code_execution_20250825"]}]}, "tools[0].allowed_callers"),
    ({"tools": [WEATHER, WEATHER]}, "tools[1].name"),
    ({"tools": [WEATHER] * 129}, "tools"),
    ({"tools": [7]}, "tools[0]"),
    ({"tool_choice": {"type": "any"}}, "tool_choice"),
    ({"tools": [WEATHER], "tool_choice": {"type": "tool"}}, "tool_choice.name"),
    ({"tools": [WEATHER], "tool_choice": {"type": "tool", "name": "x"}}, "tool_choice.name"),
    ({"tools": [WEATHER], "tool_choice": {"type": "x"}}, "tool_choice.type"),
    ({"tools": [WEATHER], "tool_choice": "auto"}, "tool_choice"),
]


@pytest.mark.parametrize(("changes", "named"), BAD, ids=[f"{at}-{named}" for at, (_, named) in enumerate(BAD)])
async def test_a_wrong_tool_is_refused_by_name(changes: dict[str, Any], named: str) -> None:
    """Each error names the tool or its field, and repeats little of what was sent."""
    response = await post(**changes)
    assert response.status == 400
    message = error_of(response)["message"]
    assert named in message
    assert len(message) < 500


async def test_a_call_ends_the_answer_with_its_parsed_input() -> None:
    """A call is a block with an object, under the name that the caller knows, after the text that precedes it."""
    steps: list[Step] = [
        [TextDelta(0, "Let me see.")],
        [ToolCallDelta(0, 0, "call_1", "get_weather", "")],
        [ToolCallDelta(0, 0, "", "", '{"city": "Paris", "n": 1.50}')],
    ]
    body = (await post(FakeServing(lambda _: script(*steps, reason="tool_calls")), tools=[WEATHER])).json
    assert body["content"] == [
        {"type": "text", "text": "Let me see.", "citations": None},
        {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Paris", "n": 1.5}},
    ]
    assert body["stop_reason"] == "tool_use"


async def test_a_long_name_is_returned_as_it_was_declared() -> None:
    """The model sees a shorter name, the caller its own."""
    (tool,) = (await used(tools=[LONG])).tools
    steps = [[ToolCallDelta(0, 0, "call_1", tool.name, "{}")]]
    body = (await post(FakeServing(lambda _: script(*steps, reason="tool_calls")), tools=[LONG])).json
    assert body["content"][0]["name"] == LONG["name"]


async def test_the_input_of_a_cut_call_is_empty() -> None:
    """A call that `max_tokens` cuts has no input, and the reason says why."""
    steps = [[ToolCallDelta(0, 0, "call_1", "get_weather", '{"city": "Pa')]]
    body = (await post(FakeServing(lambda _: script(*steps, reason="length")), tools=[WEATHER], max_tokens=2)).json
    assert (body["content"][0]["input"], body["stop_reason"]) == ({}, "max_tokens")
