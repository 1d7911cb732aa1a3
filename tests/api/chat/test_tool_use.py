"""Tools of a chat: which may be called, in today's fields and in 2023's, and errors that name the field."""

from typing import Any

import pytest

from homeport.domain.text import ChatPrompt
from homeport.domain.tools import Tool, ToolChoice, ToolUse
from tests.api.fakes import FakeServing
from tests.api.text_generation.calls import post, sent_request

F, G = ({"type": "function", "function": {"name": name}} for name in "fg")
C = {"type": "custom", "custom": {"name": "c"}}
TOOLS = (
    Tool("f", param="tools[0].function"),
    Tool("g", param="tools[1].function"),
    Tool("c", is_custom=True, param="tools[2].custom"),
)


def allowed(mode: str | None, *tools: Any) -> dict[str, Any]:
    return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": list(tools)}}


async def used(**fields: Any) -> ToolUse | None:
    (prompt,) = (await sent_request("chat", **fields)).prompts
    assert isinstance(prompt, ChatPrompt)
    return prompt.tools


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (None, ToolChoice("auto")),
        ("auto", ToolChoice("auto")),
        ("none", ToolChoice("none")),
        ("required", ToolChoice("required")),
        (F, ToolChoice("named", ("f",))),
        (C, ToolChoice("named", ("c",))),
        (allowed("auto", F, C), ToolChoice("auto", ("f", "c"))),
        (allowed("required", G, G), ToolChoice("required", ("g",))),
        (
            allowed("auto", {"type": "function", "function": {"name": "f", "parameters": {}, "description": "d"}}),
            ToolChoice("auto", ("f",)),
        ),
    ],
)
async def test_a_choice_reaches_the_worker(choice: Any, expected: ToolChoice) -> None:
    """Every form of `tool_choice` is converted; the default is auto."""
    assert await used(tools=[F, G, C], tool_choice=choice) == ToolUse(TOOLS, expected)


async def test_parallel_calls_can_be_refused() -> None:
    """`parallel_tool_calls` false allows one call per answer."""
    assert await used(tools=[F], parallel_tool_calls=False) == ToolUse(TOOLS[:1], is_parallel=False)
    assert await used(tools=[F], parallel_tool_calls=True) == ToolUse(TOOLS[:1])


@pytest.mark.parametrize(
    ("choice", "expected"),
    [(None, "auto"), ("auto", "auto"), ("none", "none"), ({"name": "f"}, "named")],
)
async def test_functions_of_2023_are_tools(choice: Any, expected: str) -> None:
    """2023's functions are tools of which one answer calls at most one."""
    use = await used(functions=[{"name": "f"}], function_call=choice)
    assert use is not None
    assert (use.tools, use.is_parallel) == ((Tool("f", param="functions[0]"),), False)
    assert (use.choice.mode, use.choice.names) == (expected, ("f",) if expected == "named" else ())


WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"tools": [{"type": "function", "function": {}}]}, "tools[0].function.name", "Missing required parameter"),
    ({"tools": [F, F]}, "tools[1].function.name", "declared twice"),
    ({"tools": [F], "functions": [{"name": "f"}]}, "functions", "either 'tools' or 'functions'"),
    ({"tool_choice": "required"}, "tool_choice", "only allowed when 'tools' are specified"),
    ({"tool_choice": F}, "tool_choice", "only allowed when 'tools' are specified"),
    ({"function_call": {"name": "f"}}, "function_call", "only allowed when 'functions' are specified"),
    ({"tools": [F], "function_call": {"name": "f"}}, "function_call", "only allowed when 'functions'"),
    ({"functions": [{"name": "f"}], "tool_choice": F}, "tool_choice", "only allowed when 'tools'"),
    ({"tools": [F], "tool_choice": "any"}, "tool_choice", "'none', 'auto', 'required'"),
    ({"tools": [F], "tool_choice": 1}, "tool_choice", "expected"),
    ({"tools": [F], "tool_choice": {}}, "tool_choice.type", "Missing"),
    ({"tools": [F], "tool_choice": {"type": "tool"}}, "tool_choice.type", "'function', 'custom', 'allowed_tools'"),
    ({"tools": [F], "tool_choice": {"type": "function"}}, "tool_choice.function", "Missing"),
    ({"tools": [F], "tool_choice": {"type": "function", "function": {}}}, "tool_choice.function.name", "Missing"),
    ({"tools": [F], "tool_choice": {**F, "custom": {"name": "c"}}}, "tool_choice.custom", "has no 'custom'"),
    ({"tools": [F], "tool_choice": {"type": "function", "name": "f"}}, "tool_choice.name", "Unrecognized"),
    ({"tools": [F], "tool_choice": G}, "tool_choice", "'g' is not found in 'tools'"),
    ({"tools": [F], "tool_choice": {"type": "custom", "custom": {"name": "f"}}}, "tool_choice", "not found"),
    ({"tools": [F], "tool_choice": allowed("none", F)}, "tool_choice.allowed_tools.mode", "'auto', 'required'"),
    ({"tools": [F], "tool_choice": allowed(None, F)}, "tool_choice.allowed_tools.mode", "Missing"),
    ({"tools": [F], "tool_choice": allowed("auto")}, "tool_choice.allowed_tools.tools", "empty array"),
    ({"tools": [F], "tool_choice": allowed("auto", G)}, "tool_choice", "'g' is not found"),
    ({"tools": [F], "tool_choice": allowed("auto", {})}, "tool_choice.allowed_tools.tools[0].type", "Missing"),
    (
        {"tools": [F], "tool_choice": allowed("auto", {"type": "function"})},
        "tool_choice.allowed_tools.tools[0].function",
        "Missing",
    ),
    ({"functions": [{"name": "f"}], "function_call": {"name": "g"}}, "function_call", "not found in 'functions'"),
    ({"functions": [{"name": "f"}], "function_call": {}}, "function_call.name", "Missing"),
    ({"functions": [{"name": "f"}], "function_call": "required"}, "function_call", "'none', 'auto'"),
    ({"functions": [{"name": ""}]}, "functions[0].name", "empty string"),
    ({"tools": [{**F, "strict": True}]}, "tools[0].strict", "Unrecognized"),
]


@pytest.mark.parametrize(("changes", "param", "words"), WRONG, ids=[f"{p}-{i}" for i, (_, p, _) in enumerate(WRONG)])
async def test_what_is_wrong_is_refused_by_name(changes: dict[str, Any], param: str, words: str) -> None:
    """A wrong tool or choice is a 400 that names the field, and no request reaches a worker."""
    serving = FakeServing()
    response = await post("chat", serving, **changes)
    assert response.status == 400
    assert response.error["param"] == param
    assert words in response.error["message"]
    assert not serving.requests
