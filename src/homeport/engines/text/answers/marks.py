"""Finds and matches marks in text that arrives in pieces, and splits marks at the names of control tokens.

In generated text the name of a control token that belongs to a mark is preceded by `CONTROL`, so that it differs from
the same characters written as ordinary tokens. Knows nothing of what a mark means.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from homeport.engines.text.answers.answer_format import CALL_ID, CALL_INDEX, SPACE, AnswerFormat, TaggedArguments

CONTROL = "\ufdd0"
"""In generated text: precedes the name of a control token."""
PARTIAL = -1
"""The text ends inside the mark."""
ABSENT = -2
"""The text does not continue with the mark."""
INDEX_PATTERN = "[0-9]{1,4}"
ID_PATTERN = "[a-zA-Z0-9]{9}"
SPACE_PATTERN = r"[ \t\r\n]{0,8}"
GAP_PATTERN = SPACE_PATTERN
"""White space that may precede a call without a mark of its own at the beginning of an answer."""

_VARIABLE = (CALL_INDEX, CALL_ID, SPACE)
_TAG = re.compile(r"<[^<>\s]*>|\[[^\[\]\s]*\]|\S+")


class Control(NamedTuple):
    """A control token in a mark, by its name."""

    name: str


MarkPiece = str | Control


@lru_cache(maxsize=1024)
def split_mark(mark: str, controls: frozenset[str]) -> tuple[MarkPiece, ...]:
    """Return a mark's pieces: control tokens (the longest name counts), the variable parts, and text between them."""
    names = sorted((name for name in controls if name in mark), key=len, reverse=True)
    pattern = "|".join([*map(re.escape, names), *_VARIABLE])
    pieces: list[MarkPiece] = []
    at = 0
    for match in re.finditer(pattern, mark):
        pieces.append(mark[at : match.start()])
        pieces.append(match[0] if match[0] in _VARIABLE else Control(match[0]))
        at = match.end()
    return tuple(piece for piece in (*pieces, mark[at:]) if piece)


def trigger(mark: str, controls: frozenset[str]) -> str:
    """Return the beginning of a mark that by itself shows that the mark is meant.

    That is its first control token, its first tag in angle or square brackets, or its text up to a space.
    """
    first = split_mark(mark, controls)[0] if mark else ""
    if isinstance(first, Control):
        return first.name
    match = _TAG.match(first)
    return match[0] if match else first


def is_distinctive(text: str) -> bool:
    """Return whether a trigger is unlikely in ordinary text: it has a letter."""
    return any(character.isalpha() for character in text)


def all_marks(format: AnswerFormat) -> set[str]:
    """Return every mark of a format that is not empty."""
    marks = {mark for content in format.contents for mark in (content.begin, content.end)}
    if format.reasoning is not None:
        marks |= {format.reasoning.begin, format.reasoning.end}
    if (calls := format.calls) is not None:
        marks |= {calls.begin, calls.name_end, calls.end, calls.section_begin, calls.section_end, calls.separator}
        marks.add(calls.optional_begin)
        if isinstance(tagged := calls.arguments, TaggedArguments):
            marks |= {tagged.begin, tagged.key_end, tagged.end, tagged.separator, tagged.string_mark}
    return marks - {""}


def mark_controls(format: AnswerFormat, special: Mapping[str, int]) -> dict[str, int]:
    """Return the control tokens that belong to a format's marks, by name: those that a parser must see in the text."""
    names = frozenset(special)
    return {
        piece.name: special[piece.name]
        for mark in all_marks(format)
        for piece in split_mark(mark, names)
        if isinstance(piece, Control)
    }


class Mark:
    """One mark, to be matched at a given place. An empty mark always matches."""

    def __init__(self, mark: str, controls: frozenset[str]) -> None:
        self.text = mark
        self._full, self._partial = _patterns(_written(split_mark(mark, controls)))

    def at(self, text: str, position: int) -> int:
        """Return where the mark ends that begins at a position; PARTIAL if `text` ends first; ABSENT if it differs."""
        if match := self._full.match(text, position):
            return match.end()
        return PARTIAL if position == len(text) or self._partial.match(text, position) else ABSENT


class MarkFinder:
    """Finds the first of several marks, which have no variable parts, in text of any length."""

    def __init__(self, marks: Iterable[str]) -> None:
        """`marks`: as they are in generated text, i.e. with CONTROL before names."""
        words = sorted(set(marks) - {""}, key=len, reverse=True)
        self._full = re.compile("|".join(map(re.escape, words)) if words else r"(?!)")
        beginnings = [f"(?:{_prefixes([*map(re.escape, word)])})" for word in words]
        self._partial = re.compile("|".join(beginnings) if words else r"\Z")
        self._longest = max(map(len, words), default=0)

    def find(self, text: str, position: int) -> tuple[int, int] | None:
        """Return where the first mark from a position on begins and ends."""
        match = self._full.search(text, position)
        return None if match is None else match.span()

    def held(self, text: str, position: int) -> int:
        """Return where the end of `text`, which has no mark, may be the beginning of one; its length if nowhere."""
        match = self._partial.search(text, max(position, len(text) - self._longest + 1))
        return len(text) if match is None else match.start()


def written(mark: str, controls: frozenset[str]) -> str:
    """Return a mark without variable parts as it is in generated text."""
    pieces = split_mark(mark, controls)
    return "".join(CONTROL + piece.name if isinstance(piece, Control) else piece for piece in pieces)


def control_names(controls: Collection[str]) -> list[str]:
    """Return control tokens as they are in generated text."""
    return [CONTROL + name for name in controls]


def _written(pieces: Sequence[MarkPiece]) -> tuple[str, ...]:
    """Return the pieces' characters, each as a regular expression."""
    elements: list[str] = []
    for piece in pieces:
        if piece == CALL_INDEX:
            elements.append(INDEX_PATTERN)
        elif piece == SPACE:
            elements.append(SPACE_PATTERN)
        elif piece == CALL_ID:
            elements += ["[a-zA-Z0-9]"] * 9
        else:
            elements += map(re.escape, CONTROL + piece.name if isinstance(piece, Control) else piece)
    return tuple(elements)


@lru_cache(maxsize=1024)
def _patterns(elements: tuple[str, ...]) -> tuple[re.Pattern[str], re.Pattern[str]]:
    return re.compile("".join(elements)), re.compile(_prefixes(elements) if elements else r"(?!)")


def _prefixes(elements: Sequence[str]) -> str:
    """Return a pattern of every beginning but the empty one, at the end of a text. `elements`: regular expressions."""
    return "(?:".join(elements) + ")?" * (len(elements) - 1) + r"\Z"
