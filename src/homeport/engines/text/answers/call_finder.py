"""Finds the beginning of a call, up to its arguments, at a place in text that arrives in pieces. Knows no arguments."""

import re
from collections.abc import Container, Sequence
from typing import NamedTuple

from homeport.engines.text.answers.marks import ABSENT, PARTIAL, Mark
from homeport.engines.text.answers.parser_marks import CallMarks

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")


class FoundCall(NamedTuple):
    """A call of a declared tool, whose arguments begin at `end`."""

    name: str
    end: int


class CallFinder:
    """Finds calls of some tools."""

    def __init__(self, names: Container[str]) -> None:
        self._names = names

    def find(
        self, calls: CallMarks, openings: Sequence[Mark], text: str, position: int, *, is_last: bool
    ) -> FoundCall | int:
        """Return the call that one of `openings` begins at a position. `calls`: the marks of its format.

        PARTIAL: that depends on text to come; ABSENT: there is none. `is_last`: no text comes; then the beginning of
        the name's end mark suffices.
        """
        result = ABSENT
        for opening in openings:
            found = self._find(opening, calls.name_end, text, position, is_last)
            if isinstance(found, FoundCall):
                return found
            result = max(result, found)
        return result

    def _find(self, opening: Mark, name_end: Mark, text: str, position: int, is_last: bool) -> FoundCall | int:
        begin = opening.at(text, position)
        if begin < 0:
            return begin
        name = _NAME.match(text, begin)
        if name is None:
            return PARTIAL if begin == len(text) else ABSENT
        if name.end() == len(text):
            return PARTIAL
        if name[0] not in self._names:
            return ABSENT
        end = name_end.at(text, name.end())
        if end == PARTIAL and is_last:
            end = len(text)
        return end if end < 0 else FoundCall(name[0], end)
