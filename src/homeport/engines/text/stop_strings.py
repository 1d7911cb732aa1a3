"""Finds stop strings in text that arrives in pieces.

Uses one Knuth-Morris-Pratt automaton per string. After each character it knows whether a string matches, and how much
of the text's end could still become a match; the cost is linear for every string and text. Knows no tokens.
"""

from collections.abc import Sequence


class StopStrings:
    """The strings and their tables, built once for all answers of a request. Empty strings are ignored."""

    def __init__(self, stops: Sequence[str]) -> None:
        self.tables = tuple((stop, _fallback(stop)) for stop in dict.fromkeys(stops) if stop)


class StopStringFinder:
    """Finds the first stop string that is completed in one text. `found`: this string, empty until then."""

    def __init__(self, stops: StopStrings) -> None:
        self.found = ""
        self._automata = [_Automaton(stop, fallback) for stop, fallback in stops.tables]

    @property
    def held_characters(self) -> int:
        """The number of characters at the end of the text that are the beginning of a stop string."""
        return max((automaton.matched for automaton in self._automata), default=0)

    def feed(self, text: str) -> int | None:
        """Read more text. If it completes a stop string, return where that begins relative to `text` (may be negative).

        The string completed first counts; of those completed by the same character, the longest.
        """
        if not self._automata:
            return None
        for index, character in enumerate(text):
            lengths = [automaton.step(character) for automaton in self._automata]
            longest = max(lengths)
            if longest:
                self.found = self._automata[lengths.index(longest)].stop
                return index + 1 - longest
        return None

    def reset(self) -> None:
        """Forget the text so far."""
        for automaton in self._automata:
            automaton.matched = 0


class _Automaton:
    """The string `stop`: `matched` is the longest prefix of it that the text so far ends with."""

    def __init__(self, stop: str, fallback: Sequence[int]) -> None:
        self.matched = 0
        self.stop = stop
        self._fallback = fallback

    def step(self, character: str) -> int:
        """Read one character; return the stop string's length if this completes it, else 0."""
        while self.matched and self.stop[self.matched] != character:
            self.matched = self._fallback[self.matched]
        if self.stop[self.matched] == character:
            self.matched += 1
        if self.matched == len(self.stop):
            self.matched = self._fallback[self.matched]
            return len(self.stop)
        return 0


def _fallback(stop: str) -> list[int]:
    """Return at index `n` the length of the longest proper prefix of `stop[:n]` that is also its suffix."""
    table = [0, 0]
    for length in range(1, len(stop)):
        candidate = table[length]
        while candidate and stop[candidate] != stop[length]:
            candidate = table[candidate]
        table.append(candidate + (stop[candidate] == stop[length]))
    return table
