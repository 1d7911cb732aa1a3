"""Marks are split at control tokens, and found in text however it is cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.engines.text.answers.answer_format import CALL_ID, CALL_INDEX, SPACE
from homeport.engines.text.answers.marks import (
    ABSENT,
    CONTROL,
    PARTIAL,
    Control,
    Mark,
    MarkFinder,
    all_marks,
    mark_controls,
    split_mark,
    trigger,
    written,
)
from tests.engines.text.answers.corpus import CORPUS
from tests.engines.text.answers.families import FAMILIES

CONTROLS = frozenset({"<a>", "<a><b>", "[X]"})


def test_marks_are_split_at_control_tokens() -> None:
    """The longest name of a control token counts, and variable parts stand alone."""
    assert split_mark("x<a><b>y<a>", CONTROLS) == ("x", Control("<a><b>"), "y", Control("<a>"))
    assert split_mark(f"[X]{CALL_ID}:{CALL_INDEX}", CONTROLS) == (Control("[X]"), CALL_ID, ":", CALL_INDEX)
    assert split_mark("", CONTROLS) == ()
    assert written("x<a>", CONTROLS) == f"x{CONTROL}<a>"


@pytest.mark.parametrize(
    ("mark", "first"),
    [("<a>x", "<a>"), ("<tool>\n{", "<tool>"), ("[T][{", "[T]"), ("<f=", "<f="), ('{"name": "', '{"name":'), ("", "")],
)
def test_triggers(mark: str, first: str) -> None:
    """A mark's trigger is its first control token, tag or word."""
    assert trigger(mark, CONTROLS) == first


def test_marks_at_a_place() -> None:
    """A mark matches at a place, is absent there, or depends on text to come."""
    mark = Mark(f"<a>:{CALL_INDEX}-{CALL_ID}!", CONTROLS)
    text = f"..{CONTROL}<a>:12-abcDEF123!"
    assert mark.at(text + "x", 2) == len(text)
    assert mark.at(text, 1) == ABSENT
    assert mark.at("..<a>:12-abcDEF123!", 2) == ABSENT
    assert all(mark.at(text[:end], 2) == PARTIAL for end in range(2, len(text)))
    assert mark.at(text[:-2] + "!", 2) == ABSENT


def test_space_in_marks_varies() -> None:
    """White space in a mark is up to eight characters or none, and may be cut anywhere."""
    mark = Mark(f"{{{SPACE}x", CONTROLS)
    for space in ("", " ", "\n \t", " " * 8):
        text = f"{{{space}x"
        assert mark.at(text, 0) == len(text)
        assert all(mark.at(text[:end], 0) == PARTIAL for end in range(len(text)))
    assert mark.at("{" + " " * 9, 0) == ABSENT
    assert mark.at("{ y", 0) == ABSENT


@given(st.text("ab<>", max_size=12), st.lists(st.text("ab<>", min_size=1, max_size=5), min_size=1, max_size=3))
def test_held_is_the_longest_possible_beginning(text: str, marks: list[str]) -> None:
    """What is held back is the longest end of a text that is a beginning of a mark, and marks are found first."""
    finder = MarkFinder(marks)
    starts = [at for at in range(len(text)) if any(text.startswith(mark, at) for mark in marks)]
    found = finder.find(text, 0)
    assert (found is None) == (not starts)
    if found is not None:
        assert found[0] == starts[0]
        return
    beginnings = [at for at in range(len(text)) if any(mark.startswith(text[at:]) for mark in marks)]
    assert finder.held(text, 0) == (beginnings[0] if beginnings else len(text))


def test_controls_of_a_format() -> None:
    """Of a model's control tokens, those in a format's marks are chosen."""
    special = {"<|im_end|>": 1, "<think>": 2, "</think>": 3, "<tool_call>": 4}
    assert mark_controls(FAMILIES["qwen3"], special) == {"<think>": 2, "</think>": 3, "<tool_call>": 4}
    for family, entry in CORPUS.items():
        assert set(mark_controls(FAMILIES[family], dict.fromkeys(entry.controls, 0))) == set(entry.controls)


def test_every_family_has_a_corpus() -> None:
    """Each family of the table is tested, and no mark of it begins with white space but separators."""
    assert set(FAMILIES) == set(CORPUS)
    assert all(family == format.family for family, format in FAMILIES.items())
    assert all(all_marks(format) for format in FAMILIES.values())
