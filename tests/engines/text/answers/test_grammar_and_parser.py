"""What a grammar allows is read by the parser of the same format."""

import json
import random
from typing import Any, Literal

import pytest

from homeport.domain.tools import Tool, ToolChoice, ToolUse
from homeport.engines.text.answers.answer_grammar import build
from tests.engines.text.answers.byte_grammar import ByteGrammar, to_lark
from tests.engines.text.answers.corpus import CORPUS, FORMATS, TOOLS, controls
from tests.engines.text.answers.parsed_message import join, parse_segments

SCHEMA = {
    "type": "object",
    "properties": {
        "text": {"type": "string"},
        "count": {"type": "integer"},
        "unit": {"type": "string", "enum": ["c", "f"]},
        "list": {"type": "array", "items": {"type": ["boolean", "null"]}, "maxItems": 3},
        "either": {"anyOf": [{"type": "string"}, {"type": "number"}]},
    },
    "required": ["text", "unit"],
    "additionalProperties": False,
}
ALL = {"f": Tool("f", parameters=json.dumps(SCHEMA), is_strict=True), "get_time": TOOLS["get_time"]}


def assert_valid(arguments: dict[str, Any]) -> None:
    """Fail unless arguments match SCHEMA."""
    assert set(arguments) <= set(SCHEMA["properties"])  # type: ignore[call-overload]
    assert isinstance(arguments["text"], str)
    assert arguments["unit"] in ("c", "f")
    assert type(arguments.get("count", 0)) is int
    assert all(item is None or isinstance(item, bool) for item in arguments.get("list", []))
    assert isinstance(arguments.get("either", ""), str | int | float)


def grammar_of(family: str, choice: ToolChoice) -> ByteGrammar:
    """Return the grammar of a family's answers with all tools."""
    source = build(
        FORMATS[family],
        ToolUse(tuple(ALL.values()), choice),
        None,
        special=controls(family),
        starts_in_reasoning=False,
        may_reason=True,
        to_lark=to_lark,
    )
    assert source is not None
    return ByteGrammar(source, controls(family))


@pytest.mark.parametrize("family", sorted(CORPUS))
@pytest.mark.parametrize("mode", ["required", "auto"])
def test_random_answers_are_read(family: str, mode: Literal["required", "auto"]) -> None:
    """Random answers under a grammar have no mark in content, and all their calls are complete and match the schema."""
    grammar = grammar_of(family, ToolChoice(mode))
    draw, calls = random.Random(family), 0
    for _ in range(12):
        text = grammar.walk(draw)
        if text is None:
            continue
        message = join(parse_segments(family, [text], tools=ALL))
        assert message == join(parse_segments(family, text, tools=ALL))
        for name, arguments, is_complete in message.calls:
            assert is_complete
            if name == "f":
                assert_valid(json.loads(arguments))
            else:
                assert json.loads(arguments) == {}
        calls += len(message.calls)
        if mode == "required":
            assert message.calls
            assert not message.content
    assert calls or mode == "auto"


@pytest.mark.parametrize("family", ["generic", "hermes", "qwen3"])
def test_random_unmarked_calls_are_read(family: str) -> None:
    """Random answers that begin like a call without marks are calls alone, complete and of the schema."""
    grammar = grammar_of(family, ToolChoice())
    draw, calls = random.Random(family), 0
    fenced = '\n```json\n{\n  "name":"f",\n  "arguments":'
    for begin in ('{"name": "f", "arguments":', fenced, '{{"name": "f", "arguments":'):
        for _ in range(4):
            text = grammar.walk(draw, begin=begin)
            if text is None:
                continue
            message = join(parse_segments(family, [text], tools=ALL))
            assert message == join(parse_segments(family, text, tools=ALL))
            assert message.calls
            assert not message.content
            for name, arguments, is_complete in message.calls:
                assert is_complete
                if name == "f":
                    assert_valid(json.loads(arguments))
            calls += len(message.calls)
    assert calls
