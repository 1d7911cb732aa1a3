"""The extensions that bind an answer's text, on completions and chats."""

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeport.api.text_generation.output_format import to_output_format
from homeport.api.text_generation.schema import GenerationFields
from homeport.domain.tools import GrammarFormat, JsonFormat, OutputFormat
from tests.api.text_generation.calls import post, sent_request

TEXT = '{"type":"object"}'


@pytest.mark.parametrize("endpoint", ["completions", "chat"])
@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, None),
        ({"structured_outputs": {"json": {"type": "object"}}}, JsonFormat(TEXT, "structured_outputs.json")),
        ({"structured_outputs": {"json": '{"type": "object"}'}}, JsonFormat(TEXT, "structured_outputs.json")),
        ({"structured_outputs": {"json_object": True}}, JsonFormat(None, "structured_outputs.json_object")),
        ({"structured_outputs": {"regex": "a+"}}, GrammarFormat("regex", "a+", "structured_outputs.regex")),
        (
            {"structured_outputs": {"choice": ["a", "b.c"]}},
            GrammarFormat("regex", r"(?:a|b\.c)", "structured_outputs.choice"),
        ),
        ({"structured_outputs": {"grammar": "x"}}, GrammarFormat("lark", "x", "structured_outputs.grammar")),
        ({"guided_json": {"type": "object"}}, JsonFormat(TEXT, "guided_json")),
        ({"guided_regex": "a+"}, GrammarFormat("regex", "a+", "guided_regex")),
        ({"guided_choice": ["yes"]}, GrammarFormat("regex", "(?:yes)", "guided_choice")),
        ({"guided_grammar": "x"}, GrammarFormat("lark", "x", "guided_grammar")),
        ({"grammar": {"type": "lark", "definition": "x"}}, GrammarFormat("lark", "x", "grammar.definition")),
        ({"grammar": {"type": "regex", "definition": "x"}}, GrammarFormat("regex", "x", "grammar.definition")),
    ],
)
async def test_an_extension_reaches_the_worker(
    endpoint: str, changes: dict[str, Any], expected: OutputFormat | None
) -> None:
    """Each field binds the text, and errors will name it."""
    assert (await sent_request(endpoint, **changes)).output_format == expected


@pytest.mark.parametrize("endpoint", ["completions", "chat"])
@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"structured_outputs": {}}, "structured_outputs"),
        ({"structured_outputs": {"json_object": False}}, "structured_outputs"),
        ({"structured_outputs": {"structural_tag": "x"}}, "structured_outputs.structural_tag"),
        ({"structured_outputs": {"json": 5}}, "structured_outputs.json"),
        ({"structured_outputs": {"json": "{"}}, "structured_outputs.json"),
        ({"structured_outputs": {"json": "[" * 5000}}, "structured_outputs.json"),
        ({"structured_outputs": {"json": '"' + "x" * 1_000_000}}, "structured_outputs.json"),
        ({"structured_outputs": {"regex": "a", "choice": ["a"]}}, "structured_outputs.choice"),
        ({"structured_outputs": {"choice": []}}, "structured_outputs.choice"),
        ({"structured_outputs": {"choice": ["a", ""]}}, "structured_outputs.choice[1]"),
        ({"structured_outputs": {"choice": ["a"] * 1025}}, "structured_outputs.choice"),
        ({"structured_outputs": {"choice": ["a" * 100_001]}}, "structured_outputs.choice"),
        ({"structured_outputs": {"choice": "a"}}, "structured_outputs.choice"),
        ({"guided_regex": "a", "guided_json": {}}, "guided_regex"),
        ({"guided_regex": ""}, "guided_regex"),
        ({"guided_regex": "a" * 100_001}, "guided_regex"),
        ({"guided_regex": "a", "structured_outputs": {"regex": "a"}}, "structured_outputs.regex"),
        ({"grammar": "root ::= x"}, "grammar"),
        ({"grammar": {"definition": "x"}}, "grammar.type"),
        ({"grammar": {"type": "gbnf", "definition": "x"}}, "grammar.type"),
        ({"grammar": {"type": "lark"}}, "grammar.definition"),
    ],
)
async def test_a_wrong_extension_is_refused_by_name(endpoint: str, changes: dict[str, Any], param: str) -> None:
    """Two fields at once, unknown fields and values out of bounds are a 400 that names the field."""
    response = await post(endpoint, **changes)
    assert (response.status, response.error["param"]) == (400, param)
    assert len(response.error["message"]) < 500


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.one_of(TEXTS, st.text(r"\.+*?()|[]{}^$-", min_size=1, max_size=4)), min_size=1, max_size=5), TEXTS)
def test_a_choice_matches_its_texts_and_nothing_else(choices: list[str], other: str) -> None:
    """Every sign of a choice stands for itself."""
    found = to_output_format(GenerationFields(guided_choice=choices))
    assert isinstance(found, GrammarFormat)
    assert all(re.fullmatch(found.definition, each) for each in choices)
    assert bool(re.fullmatch(found.definition, other)) == (other in choices)
