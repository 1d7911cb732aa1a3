"""Patterns that are searched become expressions for whole texts."""

import re

import pytest

from homeport.engines.text.answers.schema_patterns import whole_pattern

TEXTS = ["", "a", "b", "ab", "ba", "xay", "a|b", "a$", "^a", "1", "c-1", "]x"]


@pytest.mark.parametrize(
    "pattern",
    [
        "a",
        "^a",
        "b$",
        "^a$",
        "^a|b$",
        "^(a|b)$",
        "(a|b)",
        "^a$|^b$",
        r"a\|b",
        r"\$$",
        r"^\^a",
        "[$^|]",
        "[^ab]",
        r"\d",
        "",
        "^$",
        "[]]x",
    ],
)
def test_whole_texts_match_where_the_pattern_is_found(pattern: str) -> None:
    """A text matches the expression as a whole exactly if the pattern is found in it."""
    whole = whole_pattern(pattern)
    assert whole is not None
    for text in TEXTS:
        assert (re.fullmatch(whole, text) is not None) == (re.search(pattern, text) is not None), text


@pytest.mark.parametrize("pattern", ["(?=a)b", "(?!a)b", r"(a)\1", r"\bword", "a^b", "(^a|b)c", "(?<=a)b"])
def test_what_an_automaton_cannot_check(pattern: str) -> None:
    """Lookaround, references, word boundaries and anchors inside a pattern are not expressed."""
    assert whole_pattern(pattern) is None
