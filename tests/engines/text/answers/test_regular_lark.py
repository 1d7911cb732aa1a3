"""Grammars without recursion become regular expressions."""

import re

import pytest

from homeport.engines.text.answers.regular_lark import MAX_CHARS, to_regex

PATCH = """
start: begin change+ end?  // a comment
begin: "*** Begin" LF
change: ("+" | "-" | " ") /(.*)/ LF -> line
    | "@@" [" " NAME] LF
end: "*** End"i LF{0,2}
NAME.2: /[a-z\\/]+/i
%import common.LF
"""


@pytest.mark.parametrize(
    ("text", "is_allowed"),
    [
        ("*** Begin\n+a\n", True),
        ("*** Begin\n@@\n@@ a/B\n-\n*** END\n\n", True),
        ("*** Begin\n", False),
        ("*** Begin\n@@ 1\n", False),
        ("*** Begin\n+a\n*** END\n\n\n", False),
        ("+a\n", False),
    ],
)
def test_the_expression_allows_what_the_grammar_allows(text: str, is_allowed: bool) -> None:
    """Literals, terminals, alternatives, groups, repetitions, aliases and imports keep their meaning."""
    expression = to_regex(PATCH)
    assert expression is not None
    assert bool(re.fullmatch(expression, text)) == is_allowed


def test_signs_of_expressions_in_literals_are_text() -> None:
    """What a regular expression would read as a sign is text in a literal, also where it is escaped."""
    expression = to_regex(r'start: "a.*\n\"" "\u00e9\x41|" /\//')
    assert expression is not None
    assert re.fullmatch(expression, 'a.*\n"éA|/')
    assert not re.fullmatch(expression, 'abc\n"éA|/')


@pytest.mark.parametrize(
    "definition",
    [
        'start: "a" start?',
        "start: other",
        'start: "a"\nstart: "b"',
        'start: "a"\n%ignore /b/',
        "%import other.LF\nstart: LF",
        "%import common.ESCAPED_STRING\nstart: ESCAPED_STRING",
        'start: ("a"',
        'start: "a")',
        'start: %json {"type": "object"}',
        "start: <|end|>",
        'a: "a"',
        "",
        "start: " + "(" * 99 + '"a"' + ")" * 99,
        'a0: "xxxxxxxx"\n' + "".join(f"a{n + 1}: a{n} a{n}\n" for n in range(40)) + "start: a40",
    ],
)
def test_other_grammars_have_no_expression(definition: str) -> None:
    """Recursion, unknown rules and imports, what is no Lark, and what would be too long are refused, soon."""
    assert to_regex(definition) is None
    assert MAX_CHARS < 100_000
