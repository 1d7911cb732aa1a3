"""Tools of responses: what the model sees of each type, what its calls are, and what is returned and refused."""

import json
from typing import Any

import msgspec
import pytest

from homeport.api.responses.client_tools import CLIENT_TOOLS
from homeport.api.responses.plan import CallTarget
from homeport.api.responses.tools import UNSERVED_TYPES, ResponseTools, to_tools
from homeport.domain.errors import InvalidRequest
from homeport.domain.tools import GrammarFormat, Tool, ToolChoice
from tests.api.responses.item_values import raw

SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}
F = {"type": "function", "name": "f"}
C = {"type": "custom", "name": "c"}
OFFLINE = {"type": "web_search", "external_web_access": False}
LONG = "n" * 70


def converted(*tools: Any, **options: Any) -> ResponseTools:
    return to_tools(raw(*tools), **options)


def namespace(*tools: Any, **fields: Any) -> dict[str, Any]:
    return {"type": "namespace", "name": "n", "description": "", "tools": list(tools), **fields}


@pytest.mark.parametrize(
    ("declared", "tool", "target"),
    [
        (F, Tool("f", param="tools[0]"), CallTarget("function", "f")),
        (
            {**F, "description": "d", "parameters": SCHEMA, "strict": True},
            Tool("f", "d", json.dumps(SCHEMA, separators=(",", ":")), is_strict=True, param="tools[0]"),
            CallTarget("function", "f"),
        ),
        (
            {**F, "parameters": None, "strict": None, "output_schema": {}, "defer_loading": False},
            Tool("f", param="tools[0]"),
            CallTarget("function", "f"),
        ),
        (
            {**F, "allowed_callers": ["direct", "programmatic"]},
            Tool("f", param="tools[0]"),
            CallTarget("function", "f"),
        ),
        (C, Tool("c", is_custom=True, param="tools[0]"), CallTarget("custom", "c")),
        (
            {**C, "description": "d", "format": {"type": "text"}},
            Tool("c", "d", is_custom=True, param="tools[0]"),
            CallTarget("custom", "c"),
        ),
        (
            {**C, "format": {"type": "grammar", "syntax": "regex", "definition": "[a-z]+"}},
            Tool(
                "c",
                is_custom=True,
                input=GrammarFormat("regex", "[a-z]+", "tools[0].format.definition"),
                param="tools[0]",
            ),
            CallTarget("custom", "c"),
        ),
        (namespace(F), Tool("n__f", param="tools[0].tools[0]"), CallTarget("function", "f", "n")),
        (namespace(C), Tool("n__c", is_custom=True, param="tools[0].tools[0]"), CallTarget("custom", "c", "n")),
        (
            namespace(F, description="All of n."),
            Tool("n__f", "n: All of n.", param="tools[0].tools[0]"),
            CallTarget("function", "f", "n"),
        ),
    ],
)
def test_tools_reach_the_model(declared: Any, tool: Tool, target: CallTarget) -> None:
    """Functions and custom tools, also those in a namespace, are tools of the model with a target each."""
    tools = converted(declared)
    assert tools.use is not None
    assert tools.use.tools == (tool,)
    assert tools.targets == {tool.name: target}


@pytest.mark.parametrize("kind", CLIENT_TOOLS)
def test_client_tools_are_functions(kind: str) -> None:
    """`local_shell`, `shell` and `apply_patch` are functions with the fields of the action, under their own names."""
    tools = converted({"type": kind})
    assert tools.use is not None
    (tool,) = tools.use.tools
    assert (tool.name, tool.param, tools.targets[kind].kind) == (kind, "tools[0]", kind)
    fields = {
        "local_shell": {"command", "working_directory", "timeout_ms", "env"},
        "shell": {"commands", "timeout_ms", "max_output_length"},
        "apply_patch": {"type", "path", "diff"},
    }
    assert json.loads(tool.parameters or "")["properties"].keys() == fields[kind]


def test_an_offline_search_is_accepted_and_not_offered() -> None:
    """`web_search` without access to the web is returned, but the model does not see it."""
    tools = converted(
        OFFLINE, {**OFFLINE, "type": "web_search_preview", "search_context_size": "low"}, tool_choice="auto"
    )
    assert (tools.use, tools.targets) == (None, {})
    assert [json.loads(bytes(each))["type"] for each in tools.echo] == ["web_search", "web_search_preview"]


def test_long_names_are_shortened_for_the_model() -> None:
    """A name that is too long for a model is cut and keeps a hash, so that two of them differ."""
    tools = converted(namespace({**F, "name": f"{LONG}1"}, {**F, "name": f"{LONG}2"}))
    first, second = tools.targets
    assert first != second
    assert len(first) == len(second) == 64
    assert [target.name for target in tools.targets.values()] == [f"{LONG}1", f"{LONG}2"]


def test_parallel_calls_can_be_refused() -> None:
    """`parallel_tool_calls` false allows one call per answer; null and true allow several."""
    for given, expected in ((False, False), (True, True), (None, True)):
        use = converted(F, parallel_tool_calls=given).use
        assert use is not None
        assert use.is_parallel is expected


@pytest.mark.parametrize(
    ("declared", "returned"),
    [
        (F, {**F, "description": None, "parameters": None, "strict": True}),
        (
            {**F, "strict": False, "parameters": SCHEMA, "description": "d"},
            {**F, "strict": False, "parameters": SCHEMA, "description": "d"},
        ),
        ({**F, "strict": None}, {**F, "description": None, "parameters": None, "strict": None}),
        (C, {**C, "format": {"type": "text"}}),
        (namespace(F), namespace({**F, "description": None, "parameters": None, "strict": True})),
        ({"type": "shell", "environment": {"type": "local"}}, {"type": "shell", "environment": {"type": "local"}}),
        (OFFLINE, OFFLINE),
    ],
)
def test_tools_are_returned_with_defaults(declared: Any, returned: Any) -> None:
    """A response returns tools as they were sent, with OpenAI's defaults, as JSON without line breaks."""
    indented = msgspec.Raw(json.dumps(declared, indent=2).encode())
    (echo,) = to_tools([indented]).echo
    assert json.loads(bytes(echo)) == returned
    assert b"\n" not in bytes(echo)


def choose(choice: Any, *tools: Any) -> ToolChoice:
    use = converted(*tools, tool_choice=choice).use
    assert use is not None
    return use.choice


ALL = (
    F,
    C,
    namespace({**F, "name": "g"}, F),
    {"type": "shell"},
    {"type": "apply_patch"},
    {"type": "local_shell"},
    OFFLINE,
)


def allowed(mode: str | None, *tools: Any) -> dict[str, Any]:
    return {"type": "allowed_tools", "mode": mode, "tools": list(tools)}


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (None, ToolChoice("auto")),
        ("auto", ToolChoice("auto")),
        ("none", ToolChoice("none")),
        ("required", ToolChoice("required")),
        (F, ToolChoice("named", ("f",))),
        (C, ToolChoice("named", ("c",))),
        ({**F, "namespace": "n"}, ToolChoice("named", ("n__f",))),
        ({**F, "name": "g"}, ToolChoice("named", ("n__g",))),
        ({"type": "shell"}, ToolChoice("named", ("shell",))),
        ({"type": "apply_patch"}, ToolChoice("named", ("apply_patch",))),
        ({"type": "local_shell"}, ToolChoice("named", ("local_shell",))),
        (allowed("auto", F, F, {"type": "shell"}), ToolChoice("auto", ("f", "shell"))),
        (allowed("required", {**C, "description": "d"}), ToolChoice("required", ("c",))),
        (allowed("auto", {"type": "namespace", "name": "n"}), ToolChoice("auto", ("n__g", "n__f"))),
        (allowed("auto", {"type": "web_search"}, C), ToolChoice("auto", ("c",))),
        (allowed("auto", {"type": "web_search"}), ToolChoice("none")),
    ],
)
def test_choices_reach_the_model(choice: Any, expected: ToolChoice) -> None:
    """Every form of `tool_choice` is converted to the names that the model sees; the default is auto."""
    assert choose(choice, *ALL) == expected


WRONG: list[tuple[list[Any], Any, str, str]] = [
    ([1], None, "tools[0]", "expected an object"),
    ([{}], None, "tools[0].type", "Missing"),
    ([{"type": "thing"}], None, "tools[0].type", "'function', 'custom', 'namespace'"),
    ([{"type": "tool_search"}], None, "tools[0].type", "not served"),
    ([{"type": "web_search"}], None, "tools[0].type", "does not search the web"),
    ([{"type": "web_search_preview", "external_web_access": True}], None, "tools[0].type", "external_web_access"),
    ([F, {"type": "function"}], None, "tools[1].name", "Missing"),
    ([{**F, "name": "a b"}], None, "tools[0].name", "pattern"),
    ([{**F, "name": "a" * 129}], None, "tools[0].name", "maximum length 128"),
    ([{**F, "parameters": []}], None, "tools[0].parameters", "expected an object"),
    ([{**F, "parameters": {"type": "array"}}], None, "tools[0].parameters", "must be a JSON Schema"),
    ([{**F, "strict": 1}], None, "tools[0].strict", "expected a boolean"),
    ([{**F, "function": {}}], None, "tools[0].function", "Unrecognized"),
    ([{**F, "defer_loading": True}], None, "tools[0].defer_loading", "not served"),
    ([{**F, "allowed_callers": ["programmatic"]}], None, "tools[0].allowed_callers", "'direct'"),
    ([F, F], None, "tools[1].name", "declared twice"),
    ([{**F, "name": "n__f"}, namespace(F)], None, "tools[1].tools[0].name", "declared twice"),
    ([{"type": "shell"}, {"type": "shell"}], None, "tools[1].name", "declared twice"),
    ([{**C, "format": {}}], None, "tools[0].format.type", "Missing"),
    ([{**C, "format": {"type": "text", "syntax": "lark"}}], None, "tools[0].format.syntax", "has no 'syntax'"),
    ([{**C, "format": {"type": "grammar", "definition": "a"}}], None, "tools[0].format.syntax", "Missing"),
    ([{**C, "format": {"type": "grammar", "syntax": "lark"}}], None, "tools[0].format.definition", "Missing"),
    ([namespace()], None, "tools[0].tools", "empty array"),
    ([{"type": "namespace", "name": "n"}], None, "tools[0].tools", "Missing"),
    ([namespace({"type": "shell"})], None, "tools[0].tools[0].type", "'function', 'custom'"),
    ([namespace({"name": "f"})], None, "tools[0].tools[0].type", "Missing"),
    ([{"type": "shell", "environment": {"type": "container_auto"}}], None, "tools[0].environment.type", "containers"),
    ([{"type": "apply_patch", "environment": {"type": "local"}}], None, "tools[0].environment", "has no"),
    ([F] * 129, None, "tools", "maximum length 128"),
    ([], "required", "tool_choice", "only allowed when 'tools'"),
    ([OFFLINE], "required", "tool_choice", "only allowed when 'tools'"),
    ([], F, "tool_choice", "'f' is not found in 'tools'"),
    ([F], "any", "tool_choice", "'none', 'auto', 'required'"),
    ([F], 1, "tool_choice", "expected an object"),
    ([F], {}, "tool_choice.type", "Missing"),
    ([F], {"type": "web_search_preview"}, "tool_choice.type", "Invalid value"),
    ([F], {"type": "mcp", "server_label": "x"}, "tool_choice", "'x' is not found"),
    ([F], {"type": "image_generation"}, "tool_choice", "'image_generation' is not found"),
    ([F], {"type": "function"}, "tool_choice.name", "Missing"),
    ([F], {"type": "function", "function": {"name": "f"}}, "tool_choice.function", "Unrecognized"),
    ([F], {**F, "mode": "auto"}, "tool_choice.mode", "has no 'mode'"),
    ([F], {**C, "name": "f"}, "tool_choice", "'f' is not found"),
    ([F], {**F, "namespace": "n"}, "tool_choice", "'f' is not found"),
    ([F], {"type": "shell"}, "tool_choice", "'shell' is not found"),
    ([F], allowed("none", F), "tool_choice.mode", "'auto', 'required'"),
    ([F], allowed(None, F), "tool_choice.mode", "Missing"),
    ([F], allowed("auto"), "tool_choice.tools", "empty array"),
    ([F], {"type": "allowed_tools", "mode": "auto"}, "tool_choice.tools", "Missing"),
    ([F], allowed("auto", {"name": "f"}), "tool_choice.tools[0].type", "Missing"),
    ([F], allowed("auto", F, {"type": "function"}), "tool_choice.tools[1].name", "Missing"),
    ([F], allowed("auto", {"type": "namespace", "name": "m"}), "tool_choice", "'m' is not found"),
    ([F, OFFLINE], allowed("required", {"type": "web_search"}), "tool_choice", "'required'"),
    *[([F, {"type": kind}], None, "tools[1].type", "are not served") for kind in sorted(UNSERVED_TYPES)],
]


@pytest.mark.parametrize(
    ("tools", "choice", "param", "words"), WRONG, ids=[f"{each[2]}-{at}" for at, each in enumerate(WRONG)]
)
def test_what_is_wrong_is_refused_by_name(tools: list[Any], choice: Any, param: str, words: str) -> None:
    """A wrong tool or choice is a 400 that names the field."""
    with pytest.raises(InvalidRequest) as caught:
        converted(*tools, tool_choice=choice)
    assert caught.value.param == param
    assert words in caught.value.message


def test_deep_json_is_refused() -> None:
    """JSON that is nested too deeply inside a tool or a choice is a 400, and not a failure of the server."""
    deep: Any = []
    for _ in range(500):
        deep = [deep]
    for tools, choice in (([{**OFFLINE, "filters": deep}], None), ([F], {"type": "function", "name": deep})):
        with pytest.raises(InvalidRequest, match="nested too deeply"):
            converted(*tools, tool_choice=choice)


def test_tools_of_the_input_are_offered_besides_those_of_the_request() -> None:
    """Tools of `additional_tools` items may be called too; one whose name is declared already is left out."""
    other = {"type": "custom", "name": "g"}
    tools = to_tools(raw(F), None, None, [("input[0].tools[0]", raw(F)[0]), ("input[0].tools[1]", raw(other)[0])])
    assert tools.use is not None
    assert [tool.name for tool in tools.use.tools] == ["f", "g"]
    assert tools.targets["g"] == CallTarget("custom", "g")
    assert len(tools.echo) == 1
    with pytest.raises(InvalidRequest) as found:
        to_tools((), None, None, [("input[2].tools[0]", raw({"type": "nonsense"})[0])])
    assert found.value.param == "input[2].tools[0].type"
