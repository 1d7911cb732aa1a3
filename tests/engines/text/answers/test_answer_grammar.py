"""Grammars accept each family's good answers and refuse everything that a caller's choice and schemas forbid."""

import json
from typing import Any

import pytest

from homeport.domain.errors import InvalidRequest
from homeport.domain.tools import GrammarFormat, JsonFormat, OutputFormat, Tool, ToolChoice, ToolUse
from homeport.engines.text.answers.answer_grammar import build
from tests.engines.text.answers.byte_grammar import ByteGrammar, to_lark
from tests.engines.text.answers.corpus import CASE_NAMES, CASES, CORPUS, FORMATS, TOOLS, Answer, controls, generated

FAMILY_NAMES = sorted(CORPUS)
AUTO = ToolChoice()
REQUIRED = ToolChoice("required")


def grammar(
    family: str,
    choice: ToolChoice = AUTO,
    output: OutputFormat | None = None,
    *,
    tools: tuple[Tool, ...] = tuple(TOOLS.values()),
    is_parallel: bool = True,
    **options: bool,
) -> ByteGrammar:
    """Return the compiled grammar of a family's answer."""
    use = ToolUse(tools, choice, is_parallel) if tools else None
    options = {"starts_in_reasoning": False, "may_reason": True, **options}
    source = build(FORMATS[family], use, output, special=controls(family), to_lark=to_lark, **options)
    assert source is not None
    return ByteGrammar(source, controls(family))


@pytest.mark.parametrize(("family", "answer"), CASES, ids=CASE_NAMES)
def test_good_answers_are_accepted(family: str, answer: Answer) -> None:
    """What a model writes in its documented format is accepted as it likes, and under `required` if it only calls."""
    text = generated(family, answer.text)
    assert grammar(family).accepts(text)
    if answer.calls and answer.is_marked and not answer.content:
        assert grammar(family, REQUIRED).accepts(text)
    else:
        assert not grammar(family, REQUIRED).accepts(text)


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_calls_must_be_of_declared_tools_and_match_their_schema(family: str) -> None:
    """Unknown tools, values that an enum lacks, values of other types and missing arguments are refused."""
    entry = CORPUS[family]
    for choice in (AUTO, REQUIRED):
        checked = grammar(family, choice)
        assert checked.accepts(generated(family, entry.nested))
        for old, new in (("celsius", "kelvin"), ("true", "7"), ("True", "7"), ("number", "nombre"), ("-2", "2.5")):
            if old in entry.nested:
                assert not checked.accepts(generated(family, entry.nested.replace(old, new)))
        assert not checked.accepts(generated(family, entry.bare.replace("get_time", "rm")))


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_one_call_if_not_parallel(family: str) -> None:
    """Without parallel calls an answer ends after one, under every choice."""
    entry = CORPUS[family]
    for choice in (AUTO, REQUIRED, ToolChoice("named", ("get_weather",))):
        checked = grammar(family, choice, is_parallel=False)
        assert checked.accepts(generated(family, entry.simple))
        assert not checked.may_continue(generated(family, entry.simple))
        if entry.two:
            assert not checked.begins(generated(family, entry.two))


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_named_tools_are_called(family: str) -> None:
    """A named tool is called exactly once and no other is; allowed tools limit an automatic choice too."""
    entry = CORPUS[family]
    checked = grammar(family, ToolChoice("named", ("get_time",)))
    assert checked.accepts(generated(family, entry.bare))
    assert not checked.may_continue(generated(family, entry.bare))
    assert not checked.accepts(generated(family, entry.simple))
    assert not checked.accepts("Hello")
    only = grammar(family, ToolChoice("required", ("get_time",)))
    assert only.accepts(generated(family, entry.bare))
    assert not only.accepts(generated(family, entry.simple))


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_no_calls_under_none(family: str) -> None:
    """Under `none` content is accepted and no call is."""
    entry = CORPUS[family]
    checked = grammar(family, ToolChoice("none"))
    assert checked.accepts(generated(family, entry.last + "It is 5 <b> [1] {x}"))
    assert not checked.accepts(generated(family, entry.simple))
    assert not checked.accepts(generated(family, entry.nested))


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_output_formats_bind_the_content(family: str) -> None:
    """A schema binds the content, after reasoning, and leaves calls as they are."""
    entry = CORPUS[family]
    schema = JsonFormat(json.dumps({"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}))
    for checked in (grammar(family, AUTO, schema), grammar(family, tools=(), output=schema)):
        good = generated(family, entry.thought + entry.last)
        assert checked.accepts(good + '{"a": 1}')
        assert checked.accepts(good + '{ "a":\n1}') or family == "llama3"
        assert not checked.accepts(good + '{"a": "1"}')
        assert not checked.accepts(good + "Hello")
        assert not checked.accepts(generated(family, entry.thought))
    assert grammar(family, AUTO, schema).accepts(generated(family, entry.simple))
    assert not grammar(family, tools=(), output=schema).accepts(generated(family, entry.simple))


@pytest.mark.parametrize("family", [family for family in FAMILY_NAMES if CORPUS[family].thought])
def test_reasoning_is_free(family: str) -> None:
    """Reasoning may be anything, also a call; what must follow it is bound only behind it."""
    entry = CORPUS[family]
    begin, end = entry.thought.split("Let me see.")
    for thought in ("Hm.\n\n<tool_call> {", ""):
        text = generated(family, begin) + thought + generated(family, end)
        checked = grammar(family, REQUIRED)
        assert checked.accepts(text + generated(family, entry.simple))
        assert not checked.begins(text + "Hello")
        assert not checked.begins("Hello")
        begun = grammar(family, REQUIRED, starts_in_reasoning=True)
        rest = thought + generated(family, end)
        assert begun.accepts(rest + generated(family, entry.simple))
        assert not begun.accepts(generated(family, entry.simple))
    assert not grammar(family, REQUIRED, may_reason=False).begins(generated(family, entry.thought))


def test_nothing_to_constrain() -> None:
    """Without tools and output format there is no grammar; tools need a model that can call them."""
    options: dict[str, Any] = {"special": {}, "starts_in_reasoning": False, "may_reason": True, "to_lark": to_lark}
    assert build(FORMATS["qwen3"], None, None, **options) is None
    assert build(FORMATS["qwen3"], ToolUse(()), None, **options) is None
    unable = FORMATS["hermes"].__class__("unable")
    assert build(unable, ToolUse(tuple(TOOLS.values()), ToolChoice("none")), None, **options) is not None
    with pytest.raises(InvalidRequest, match="tools") as caught:
        build(unable, ToolUse(tuple(TOOLS.values())), None, **options)
    assert caught.value.param == "tools"
    with pytest.raises(InvalidRequest):
        build(FORMATS["hermes"], ToolUse(tuple(TOOLS.values()), ToolChoice("named", ("rm",))), None, **options)


def test_grammars_of_callers() -> None:
    """A caller's Lark grammar and regular expression bind the content, also beside calls and reasoning."""
    lark = GrammarFormat("lark", 'start: rule_0 TERMINAL_1\nrule_0: "a"\nTERMINAL_1: /[0-9]+/\n%ignore " "\n')
    alone = grammar("hermes", output=lark, tools=())
    beside = grammar("qwen3", output=lark)
    for checked in (alone, beside):
        assert checked.accepts("a 12")
        assert not checked.accepts("b")
    thought = generated("qwen3", CORPUS["qwen3"].thought)
    assert beside.accepts(thought + "a1")
    assert beside.accepts(thought + generated("qwen3", CORPUS["qwen3"].simple))
    assert build(
        FORMATS["hermes"], None, lark, special={}, starts_in_reasoning=False, may_reason=True, to_lark=to_lark
    ) == (lark.definition)
    regex = GrammarFormat("regex", "[a-z]+/[0-9]{2}\n\\/")
    for family in ("hermes", "qwen3", "harmony"):
        checked = grammar(family, output=regex, tools=())
        assert checked.accepts(generated(family, CORPUS[family].last + "ab/12\n/"))
        assert not checked.accepts(generated(family, CORPUS[family].last + "ab/1\n/"))


def test_schemas_that_cannot_be_enforced() -> None:
    """A strict tool's schema must be enforced; another's falls back to any object, but its name still binds."""
    schema = json.dumps({"type": "object", "properties": {"a": {"not": {}}}, "required": ["a"]})
    for family, text in (
        ("hermes", '<tool_call>\n{"name": "f", "arguments": {"b": [1]}}\n</tool_call>'),
        ("qwen3-coder", "<tool_call>\n<function=f>\n<parameter=a>\nx y\n</parameter>\n</function>\n</tool_call>"),
        ("llama4", "[f(a=[1, None, {'b': 2.5}])]"),
    ):
        assert grammar(family, tools=(Tool("f", parameters=schema),)).accepts(text)
        assert not grammar(family, tools=(Tool("f", parameters=schema),)).accepts(text.replace("f", "g", 1))
    for family, path in (("hermes", ""), ("llama3", ""), ("llama4", ""), ("qwen3-coder", ".properties.a")):
        strict = json.dumps({"type": "object", "properties": {"a": {"type": "array", "not": {}}}, "required": ["a"]})
        tool = Tool("f", parameters=strict, is_strict=True, param="tools[3].function")
        with pytest.raises(InvalidRequest) as caught:
            grammar(family, output=JsonFormat(), tools=(tool,))
        assert caught.value.param == f"tools[3].function.parameters{path}"


UNMARKED_FAMILIES = ["generic", "hermes", "qwen3"]


@pytest.mark.parametrize("family", UNMARKED_FAMILIES)
def test_unmarked_calls_match_their_schema(family: str) -> None:
    """A call without its marks is bound from its arguments on, to their schema and to the end of the answer."""
    checked = grammar(family)
    for begin, end in (("", ""), ("```json\n", "\n```"), ("```\n", "\n```")):
        call = begin + '{\n  "name": "get_weather",\n  "arguments": {\n    "city": "Rome"'
        assert checked.accepts(call + "\n  }\n}" + end)
        assert checked.begins(call + ', "unit": "celsius"}}' + end)
        for text in (
            call + ', "unit": "kelvin"',
            call.replace('"Rome"', "7"),
            call.replace('"city": "Rome"', "}"),
            call + ', "size"',
            call + "}}" + end + "It",
            call + "}}" + end + "\n\nIt",
        ):
            assert not checked.begins(text), text
        assert not checked.accepts(call)
        assert not checked.accepts(call + "}}") or not end
        assert checked.begins(call.replace("get_weather", "get_wind").replace('"Rome"', "7"))


@pytest.mark.parametrize("family", UNMARKED_FAMILIES)
def test_one_unmarked_call_if_not_parallel(family: str) -> None:
    """Without parallel calls an answer ends after one call without its marks."""
    call = '{"name": "get_time", "arguments": {}}'
    for text in (call, f"```json\n{call}\n```"):
        assert grammar(family).begins(text.replace(call, f"{call}\n{call}"))
        checked = grammar(family, is_parallel=False)
        assert checked.accepts(text)
        assert not checked.may_continue(text)
        assert not checked.begins(text.replace(call, f"{call}\n{call}"))


@pytest.mark.parametrize("family", UNMARKED_FAMILIES)
def test_unmarked_calls_where_none_is_allowed(family: str) -> None:
    """Calls without marks are content under `none` and in an output format, and refused where a call is required."""
    call = '{"name": "get_time", "arguments": {"a": 1}}'
    assert grammar(family, ToolChoice("none")).accepts(call)
    assert not grammar(family, REQUIRED).begins(call[:1])
    assert not grammar(family, ToolChoice("named", ("get_time",))).begins(call[:1])
    assert grammar(family, output=JsonFormat()).accepts(call)
    assert grammar(family, ToolChoice("auto", ("get_weather",))).accepts(call)


def test_unmarked_calls_of_custom_tools() -> None:
    """A custom tool can be called without marks too."""
    checked = grammar("hermes", tools=(Tool("f", is_custom=True),))
    assert checked.accepts('{"name": "f", "arguments": {"input": "x"}}')
    assert not checked.begins('{"name": "f", "arguments": {"input": 1')


def test_calls_after_content_that_begins_like_one() -> None:
    """Content after a call may be what an answer cannot begin with."""
    text = CORPUS["hermes"].simple + '\n{"name": "get_weather", "arguments": 1'
    assert grammar("hermes").accepts(text)
    assert not grammar("hermes").begins(text.removeprefix(CORPUS["hermes"].simple))


def arguments(family: str, **values: str) -> str:
    """Return a call of `f` with values as the family writes them."""
    if family == "hermes":
        pairs = ", ".join(f'"{key}": {value}' for key, value in values.items())
        return f'<tool_call>\n{{"name": "f", "arguments": {{{pairs}}}}}\n</tool_call>'
    if family == "qwen3-coder":
        pairs = "".join(f"<parameter={key}>\n{value}\n</parameter>\n" for key, value in values.items())
        return f"<tool_call>\n<function=f>\n{pairs}</function>\n</tool_call>"
    if family == "gemma4":
        pairs = ",".join(f"{key}:{value}" for key, value in values.items())
        return generated(family, f"<|tool_call>call:f{{{pairs}}}<tool_call|>")
    return f"[f({', '.join(f'{key}={value}' for key, value in values.items())})]"


def of_schema(family: str, properties: dict[str, Any], *, is_strict: bool = True, **others: Any) -> ByteGrammar:
    """Return the grammar of calls of one tool `f`."""
    schema = {"type": "object", "properties": properties, "additionalProperties": False, **others}
    tool = Tool("f", parameters=json.dumps(schema), is_strict=is_strict)
    return grammar(family, REQUIRED, tools=(tool,))


def test_tagged_strings_follow_their_schema() -> None:
    """Strings without quotes follow enum, pattern, format and length, and never contain their end mark."""
    for schema, good, bad in (
        ({"type": "string", "enum": ["a b", ""]}, ["a b", ""], ["a", "c"]),
        ({"type": "string", "pattern": "^[a-z]+$"}, ["abc"], ["aB", ""]),
        ({"type": "string", "pattern": "b|c"}, ["abd", "c"], ["a"]),
        ({"type": "string", "minLength": 2, "maxLength": 3}, ["ab", "日本語"], ["a", "abcd"]),
        ({"type": "string", "format": "date"}, ["2026-11-30"], ["2026-13-30", "x"]),
        ({"type": "integer", "minimum": 3}, ["3", "12"], ["2", "x", "3.5"]),
        ({"type": ["string", "null"]}, ["x", "null"], []),
        ({"enum": [1, "a"]}, ["1", "a"], ["b"]),
        ({}, ["x", "1"], []),
    ):
        for family in ("qwen3-coder", "gemma4"):
            checked = of_schema(family, {"k": schema}, required=["k"])
            mark = '<|"|>' if family == "gemma4" else ""
            for value in good + bad:
                is_string = family == "gemma4" and not value.replace(".", "").isdigit() and value != "null"
                written = f"{mark}{value}{mark}" if is_string else value
                assert checked.accepts(arguments(family, k=written)) == (value in good), (family, schema, value)
            assert not checked.accepts(arguments(family))
            assert not checked.accepts(arguments(family, j="x"))


def test_optional_arguments_keep_their_order() -> None:
    """Optional arguments may be left out, each combination in the schema's order."""
    for family in ("qwen3-coder", "llama4", "gemma4"):
        checked = of_schema(family, {name: {"type": "integer"} for name in "abc"}, required=["b"])
        for names, is_good in (("b", True), ("ab", True), ("bc", True), ("abc", True), ("ac", False), ("ba", False)):
            assert checked.accepts(arguments(family, **dict.fromkeys(names, "1"))) == is_good
        free = of_schema(family, {}, additionalProperties=True, is_strict=False)
        assert free.accepts(arguments(family))
        assert free.accepts(arguments(family, x="1", y_2="2"))


def test_undeclared_arguments_are_written_only_where_the_schema_says_so() -> None:
    """A tool with properties gets no other arguments, one without any gets none, unless the schema mentions others."""
    schemas: list[tuple[dict[str, Any], bool, bool]] = [
        ({"properties": {"a": {"type": "integer"}}}, True, False),
        ({"properties": {}}, False, False),
        ({}, True, True),
        ({"properties": {}, "additionalProperties": True}, True, True),
    ]
    for family in ("hermes", "qwen3-coder", "llama4", "gemma4"):
        for schema, may_have_a, may_have_b in schemas:
            checked = grammar(family, REQUIRED, tools=(Tool("f", parameters=json.dumps({"type": "object", **schema})),))
            assert checked.accepts(arguments(family))
            assert checked.accepts(arguments(family, a="1")) == may_have_a, (family, schema)
            assert checked.accepts(arguments(family, b="1")) == may_have_b, (family, schema)


def test_literals_follow_nested_schemas() -> None:
    """Literals of Python and Gemma follow arrays, objects, unions, references and bounds."""
    tree: dict[str, Any] = {
        "type": "object",
        "properties": {"v": {"type": "integer"}, "next": {"anyOf": [{"$ref": "#/$defs/t"}, {"type": "null"}]}},
    }
    tree |= {"required": ["v"], "additionalProperties": False}
    properties = {
        "t": {"$ref": "#/$defs/t"},
        "l": {"type": "array", "items": {"type": "boolean"}, "minItems": 1, "maxItems": 2},
    }
    for family, good, bad in (
        ("llama4", '{"v": 1, "next": {"v": 2, "next": None}}', ['{"next": None}', '{"v": "1"}', '{"v": 1, "next": 2}']),
        ("gemma4", "{v:1,next:{v:2,next:null}}", ["{next:null}", "{v:true}", "{v:1,next:2}"]),
    ):
        others: dict[str, Any] = {"$defs": {"t": tree}}
        checked = of_schema(family, properties, **others)
        assert checked.accepts(arguments(family, t=good))
        for text in bad:
            assert not checked.accepts(arguments(family, t=text))
        true, comma = ("True", ", ") if family == "llama4" else ("true", ",")
        for count, is_good in ((0, False), (1, True), (2, True), (3, False)):
            assert checked.accepts(arguments(family, l=f"[{comma.join([true] * count)}]")) == is_good


@pytest.mark.parametrize("family", ["hermes", "qwen3-coder", "llama4", "gemma4"])
def test_custom_tools(family: str) -> None:
    """A custom tool takes any text; its own grammar binds where the text is written raw, or the error names it."""
    mark = '<|"|>' if family == "gemma4" else ""

    def written(text: str) -> str:
        if family == "hermes":
            return f'<tool_call>\n{{"name": "f", "arguments": {{"input": {json.dumps(text)}}}}}\n</tool_call>'
        return arguments(family, input=json.dumps(text) if family == "llama4" else mark + text + mark)

    assert grammar(family, REQUIRED, tools=(Tool("f", is_custom=True),)).accepts(written('say "hi"\n\\d'))
    for syntax, definition in (("regex", '[a-z]+"/'), ("lark", 'start: WORD "\\"/"\nWORD: /[a-z]+/\n')):
        tool = Tool("f", is_custom=True, input=GrammarFormat(syntax, definition, "tools[0].custom.format"))  # type: ignore[arg-type]
        if family == "llama4":
            with pytest.raises(InvalidRequest, match="`f`") as caught:
                grammar(family, REQUIRED, tools=(tool,))
            assert caught.value.param == "tools[0].custom.format"
            continue
        checked = grammar(family, REQUIRED, tools=(tool,))
        assert checked.accepts(written('abc"/'))
        assert not checked.accepts(written("abc"))
        assert not checked.accepts(written('A"/'))


def test_many_tools() -> None:
    """128 tools give one grammar, in which each can be called."""
    tools = tuple(Tool(f"tool-{index}", parameters=TOOLS["get_weather"].parameters) for index in range(128))
    for family in ("qwen3", "qwen3-coder", "gemma4"):
        checked = grammar(family, REQUIRED, tools=tools)
        for name in ("tool-0", "tool-127"):
            assert checked.accepts(generated(family, CORPUS[family].nested.replace("get_weather", name)))
        assert not checked.accepts(generated(family, CORPUS[family].nested.replace("get_weather", "tool-128")))


def test_unions_of_strings_and_others() -> None:
    """Text that begins like an array or object must be one of the union; conditions of other values are refused."""
    numbers = {"type": "array", "items": {"type": "integer"}}
    for schema in (
        {"anyOf": [{"type": "string"}, {"$ref": "#/$defs/numbers"}]},
        {"type": ["string", "null", "array"], "items": {"type": "integer"}},
        {"items": {"type": "integer"}},
    ):
        others: dict[str, Any] = {"$defs": {"numbers": numbers}}
        checked = of_schema("qwen3-coder", {"k": schema}, **others)
        for value, is_good in (
            ("x y", True),
            ("[1, 2]", True),
            ('[1, "a"]', False),
            ("[x", False),
            ("5", True),
            ("", True),
        ):
            assert checked.accepts(arguments("qwen3-coder", k=value)) == is_good, (schema, value)
    for refused in ({"anyOf": [{"type": "string", "maxLength": 3}, {"type": "null"}]}, {"minimum": 3}):
        with pytest.raises(InvalidRequest, match='"k"'):
            of_schema("qwen3-coder", {"k": refused})
        assert of_schema("qwen3-coder", {"k": refused}, is_strict=False).accepts(arguments("qwen3-coder", k="word"))


def test_short_arrays_of_literals() -> None:
    """Arrays of at most one item have that or none."""
    for least, counts in ((0, {0, 1}), (1, {1})):
        items = {"type": "array", "items": {"type": "integer"}, "minItems": least, "maxItems": 1}
        checked = of_schema("gemma4", {"k": items})
        for count in range(3):
            assert checked.accepts(arguments("gemma4", k=f"[{','.join(['1'] * count)}]")) == (count in counts)
