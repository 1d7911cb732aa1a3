"""Text from outside, safe to print."""

import json

import pytest

from homeport.domain import printable

STEERING = "\x1b]0;mine\x07\x1b[2J\x9b31m\u202eback\x7f\r\x00"
SHOWN = "\\x1b]0;mine\\x07\\x1b[2J\\x9b31m\\u202eback\\x7f\\x0d\\x00"


def test_control_characters_are_shown_not_sent() -> None:
    """Escapes, C0 and C1 codes and bidirectional controls are shown as escapes."""
    assert printable.text(STEERING) == printable.line(STEERING) == SHOWN


@pytest.mark.parametrize("plain", ["", "llama-3 · 你好 · مرحبا · 👩‍🚀 é", "a\tb\nc"])
def test_other_text_stays_as_it_is(plain: str) -> None:
    """Text in any script, emoji, tabs and line ends are unchanged."""
    assert printable.text(plain) == plain


def test_a_line_stays_one_line() -> None:
    """In a line, line ends are escaped too; in text, Windows line ends become line ends."""
    assert printable.line("a\nb\tc") == "a\\x0ab\\x09c"
    assert printable.text("a\r\nb") == "a\nb"
    assert printable.text("half \ud83d") == "half \\ud83d"


def test_json_keeps_its_value() -> None:
    """JSON escapes keep the value of the text."""
    written = json.dumps(STEERING, ensure_ascii=False)
    assert json.loads(printable.json(written)) == STEERING
    assert not set(printable.json(written)) & set(STEERING) - set("]0;mine[2J31mback")


@pytest.mark.parametrize("formula", ["=1+1", "+1", "-", "@a", " =1", "\u3000=1", "|a", "%a", "\uff1da"])
def test_a_cell_is_no_formula(formula: str) -> None:
    """Text that a spreadsheet may take for a formula begins with an apostrophe; other text stays as it is."""
    assert printable.cell(formula) == f"'{formula}"
    assert printable.cell("a=1") == "a=1"
    assert printable.cell("") == ""
    assert printable.cell("a\nb") == "a\\x0ab"
