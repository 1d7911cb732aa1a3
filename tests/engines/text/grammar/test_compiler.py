"""Grammars compile within limits, or are refused with a reason."""

import json
import threading
import time
from typing import Any

import psutil
import pytest
from llguidance import LLTokenizer

from homeport.domain.errors import InvalidRequest
from homeport.engines.text.grammar import compiler as compilers
from homeport.engines.text.grammar.compiler import LlguidanceCompiler
from homeport.engines.text.grammar.json_schema import to_lark
from homeport.engines.text.grammar.tokenizer import GrammarTokenizer
from tests.engines.text.fake_executor import FakeExecutor
from tests.engines.text.simulation import traits

WITHIN_S = 5.0


def nested(depth: int, schema: dict[str, Any], width: int = 2) -> dict[str, Any]:
    """Return alternatives of objects, nested."""
    for level in range(depth):
        names = [f"p{level}{index}" for index in range(width)]
        schema = {"anyOf": [{"type": "object", "properties": {name: schema}, "required": [name]} for name in names]}
    return schema


def properties(count: int) -> dict[str, Any]:
    return {"type": "object", "properties": {f"p{number}": {"type": "integer"} for number in range(count)}}


def either(number: int) -> dict[str, Any]:
    return {"anyOf": [{"type": "object", "properties": {f"{name}{number}": {}}} for name in "ab"]}


def pattern(text: str) -> dict[str, Any]:
    return {"type": "string", "pattern": text}


def deep(depth: int) -> str:
    """Return objects in objects, as JSON text."""
    return depth * '{"properties":{"a":' + "{}" + depth * "}}"


ENDLESS = {
    "multipleOf": {"type": "integer", "multipleOf": 999_983},
    "product of alternatives": {"allOf": [either(number) for number in range(18)]},
    "many properties": properties(10_000),
    "references in a circle": {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}},
    "many alternatives of alternatives": nested(14, {"type": "string"}),
}
FAST = {
    "nested alternatives": nested(10, {"type": "string"}),
    "nested repetitions": pattern("^(((a{1,100}){1,100}){1,100}){1,100}$"),
    "many states": pattern("^(a|b)*a(a|b){500}$"),
    "huge array": {"type": "array", "minItems": 1_000_000, "items": {"type": "string", "minLength": 10**8}},
    "many values": {"enum": list(range(50_000))},
    "doubling references": {
        "$ref": "#/$defs/d0",
        "$defs": {
            **{f"d{n}": {"anyOf": [{"$ref": f"#/$defs/d{n + 1}"}, {"$ref": f"#/$defs/d{n + 1}"}]} for n in range(24)},
            "d24": {"type": "object"},
        },
    },
}


@pytest.mark.parametrize("name", ENDLESS)
def test_endless_schemas_are_refused_soon(real_compiler: LlguidanceCompiler, name: str) -> None:
    """A schema that would take forever is refused within seconds, also the second time."""
    schema = json.dumps(ENDLESS[name])
    for _ in range(2):
        began = time.monotonic()
        with pytest.raises(InvalidRequest) as caught:
            real_compiler.json_schema(schema, param="response_format", compact=False)
        assert time.monotonic() - began < WITHIN_S
        assert str(caught.value.param).startswith("response_format")


@pytest.mark.parametrize("name", FAST)
def test_large_schemas_that_can_be_enforced_compile(real_compiler: LlguidanceCompiler, name: str) -> None:
    """Large numbers, sets and repetitions cost little if they are followed step by step."""
    began = time.monotonic()
    term = real_compiler.json_schema(json.dumps(FAST[name]), param="response_format", compact=False)
    assert time.monotonic() - began < WITHIN_S
    assert real_compiler.compile(f"start: {term}", param="response_format").start().mask().any()


def test_other_threads_run_while_a_grammar_compiles(real_compiler: LlguidanceCompiler) -> None:
    """A thread that wakes up every millisecond goes on while a large grammar compiles."""
    term = to_lark(json.dumps(nested(10, {"type": "integer"})), param="", compact=True)
    compiling = threading.Thread(target=lambda: real_compiler.compile(f"start: {term}", param=""))
    gaps, last = list[float](), time.monotonic()
    compiling.start()
    while compiling.is_alive():
        compiling.join(0.001)
        gaps.append(time.monotonic() - last)
        last += gaps[-1]
    assert len(gaps) > 10
    assert sorted(gaps)[int(0.9 * len(gaps))] < 0.05


@pytest.mark.parametrize(
    "source", ["start: nothing", 'start: "a', "start: /(/", "start: %json {", "", "start: <[9999]>"]
)
def test_invalid_grammars_are_refused(compiler: LlguidanceCompiler, source: str) -> None:
    """The error names the given field, and is short."""
    with pytest.raises(InvalidRequest) as caught:
        compiler.compile(source, param="tools[0]")
    assert caught.value.param == "tools[0]"
    assert len(caught.value.message) < 300


@pytest.mark.parametrize("source", ['start: %json {"$ref": "#"}', "start: A\nA: /a/ & /b/"])
def test_a_grammar_without_texts_is_refused(compiler: LlguidanceCompiler, source: str) -> None:
    """A grammar that no text can match is invalid, rather than an answer that cannot begin or end."""
    with pytest.raises(InvalidRequest, match="not valid"):
        compiler.compile(source, param="grammar")


@pytest.mark.parametrize(
    ("keyword", "schema"),
    [
        ("properties", properties(600)),
        ("enum", {"enum": [{"a": number} for number in range(3_000)]}),
        ("anyOf", {"anyOf": [properties(3) for _ in range(500)]}),
    ],
)
def test_too_many_alternatives_are_refused_at_once(
    compiler: LlguidanceCompiler, keyword: str, schema: dict[str, Any]
) -> None:
    """A schema with too many alternatives in one step is refused, not the answer that reaches it, wherever it is."""
    nested = {"type": "object", "properties": {"a": {"type": "array", "items": schema}}}
    for whole, path in ((schema, ""), (nested, ".properties.a.items")):
        with pytest.raises(InvalidRequest, match=f"'{keyword}' at #") as caught:
            compiler.json_schema(json.dumps(whole), param="schema", compact=True)
        assert caught.value.param == f"schema{path}"
    compiler.json_schema(json.dumps(properties(400)), param="schema", compact=True)


def test_deep_nesting_is_refused(compiler: LlguidanceCompiler) -> None:
    """A schema nested deeper than can be read is refused, and one nested 50 deep is not."""
    compiler.json_schema(deep(50), param="schema", compact=True)
    for depth in (100, 500, 20_000):
        with pytest.raises(InvalidRequest, match="nested too deeply"):
            compiler.json_schema(deep(depth), param="schema", compact=True)


def test_size_is_checked_first(compiler: LlguidanceCompiler) -> None:
    """Neither a grammar nor a schema beyond the limits is read."""
    with pytest.raises(InvalidRequest, match="larger than"):
        compiler.compile("start: " + " " * compilers.MAX_SOURCE_BYTES, param="grammar")
    with pytest.raises(InvalidRequest, match="larger than"):
        compiler.json_schema('{"a":"' + "é" * 300_000 + '"}', param="schema", compact=True)


def test_equal_sources_are_compiled_once(compiler: LlguidanceCompiler) -> None:
    """The same text gives the same grammar, another text another one, and no state is shared between answers."""
    grammar = compiler.compile('start: "ab"', param="a")
    assert compiler.compile('start: "ab"', param="b") is grammar
    assert compiler.compile('start: "abc"', param="a") is not grammar
    first, second = grammar.start(), grammar.start()
    first.accept(ord("a"))
    assert bytes(second.forced()) == b"ab"


def test_small_grammars_need_no_process(compiler: LlguidanceCompiler) -> None:
    """Only a grammar that might take long starts a process, which `close` ends."""
    before = len(psutil.Process().children())
    compiler.json_schema('{"type": "object", "properties": {"a": {"type": "string"}}}', param="", compact=True)
    assert len(psutil.Process().children()) == before
    compiler.json_schema('{"allOf": [{"type": "string"}, {"minLength": 2}]}', param="", compact=True)
    assert len(psutil.Process().children()) == before + 1
    compiler.close()
    assert len(psutil.Process().children()) == before


def test_a_killed_process_is_replaced(compiler: LlguidanceCompiler) -> None:
    """A process that dies while it is idle is no reason to refuse a grammar."""
    schemas = [json.dumps({"allOf": [{"type": "string"}, {"minLength": number}]}) for number in range(2)]
    compiler.json_schema(schemas[0], param="", compact=True)
    child = psutil.Process().children()[-1]
    child.kill()
    child.wait()
    compiler.json_schema(schemas[1], param="", compact=True)


def test_nothing_is_built_before_the_first_grammar(monkeypatch: pytest.MonkeyPatch) -> None:
    """Creating a compiler reads no token; the first grammar that is compiled does."""
    built: list[object] = []
    original = GrammarTokenizer.get

    def get(tokens: GrammarTokenizer) -> LLTokenizer:
        built.append(tokens)
        return original(tokens)

    monkeypatch.setattr(GrammarTokenizer, "get", get)
    compiler = LlguidanceCompiler(FakeExecutor(traits()))
    assert not built
    compiler.compile('start: "a"', param="")
    assert built
    compiler.close()
