"""Calls written in each family's format are what the family's parser reads."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from homeport.engines.text.answers.answer_format import AnswerFormat
from homeport.engines.text.answers.answer_parser import AnswerParser
from homeport.engines.text.answers.call_writer import write_calls
from homeport.engines.text.answers.segments import CallArguments, CallBegin, ContentText
from tests.engines.text.answers.corpus import TOOLS
from tests.engines.text.answers.families import FAMILIES, GEMMA4_CALLS, HERMES_CALLS, KIMI_CALLS, LLAMA4_CALLS

ARGUMENTS: Mapping[str, Any] = {"city": 'San "Francisco"', "days": [{"number": -2, "is_late": True}]}
"""Arguments of the corpus's tool `get_weather`."""


@pytest.mark.parametrize("family", FAMILIES)
def test_written_calls_are_read_back(family: str) -> None:
    """The parser of a format returns the name and the arguments that were written in it, and no content."""
    format: AnswerFormat = FAMILIES[family]
    assert format.calls is not None
    parser = AnswerParser(format, TOOLS, controls=(), starts_in_reasoning=False)
    segments = parser.feed(write_calls(format.calls, [("get_weather", ARGUMENTS)])) + parser.close(is_complete=True)
    assert [each.name for each in segments if isinstance(each, CallBegin)] == ["get_weather"]
    assert json.loads("".join(each.text for each in segments if isinstance(each, CallArguments))) == ARGUMENTS
    assert not [each for each in segments if isinstance(each, ContentText)]


def test_a_call_has_the_marks_of_its_format() -> None:
    """Calls are written as the families' documentation shows them."""
    calls = [("a", {"x": "1", "y": [True, {"z": "w"}]}), ("b", {})]
    assert write_calls(HERMES_CALLS, calls) == (
        '<tool_call>\n{"name": "a", "arguments": {"x": "1", "y": [true, {"z": "w"}]}}\n</tool_call>\n'
        '<tool_call>\n{"name": "b", "arguments": {}}\n</tool_call>'
    )
    assert write_calls(LLAMA4_CALLS, calls) == "[a(x='1', y=[True, {'z': 'w'}]), b()]"
    assert (
        write_calls(GEMMA4_CALLS, calls[:1]) == '<|tool_call>call:a{x:<|"|>1<|"|>,y:[true,{z:<|"|>w<|"|>}]}<tool_call|>'
    )
    assert "functions.b:1<|tool_call_argument_begin|>{}" in write_calls(KIMI_CALLS, calls)
