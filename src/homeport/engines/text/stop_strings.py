"""Find stop strings in text that arrives piece by piece.

One Knuth-Morris-Pratt automaton per string, so that a match, and how much of the text's end could still become one,
are both known after each character, at a cost that no string or text can make worse than linear. Knows no tokens.
"""

from collections.abc import Sequence


class StopStrings:
    """The strings and their tables, made once for all answers of a request. Empty strings never stop anything."""

    def __init__(self, stops: Sequence[str]) -> None:
        self.tables = tuple((stop, _fallback(stop)) for stop in dict.fromkeys(stops) if stop)


class StopStringFinder:
    """Watches one text for the first stop string to be completed."""

    def __init__(self, stops: StopStrings) -> None:
        self._automata = [_Automaton(stop, fallback) for stop, fallback in stops.tables]

    @property
    def held_characters(self) -> int:
        """How many characters at the end of the text so far are the beginning of some stop string."""
        return max((automaton.matched for automaton in self._automata), default=0)

    def feed(self, text: str) -> int | None:
        """Read on. If a stop string is completed: where it begins, relative to `text`'s start (may be negative).

        The string completed first counts; of those completed by the same character, the longest.
        """
        if not self._automata:
            return None
        for index, character in enumerate(text):
            lengths = [automaton.step(character) for automaton in self._automata]
            found = max(lengths)
            if found:
                return index + 1 - found
        return None


class _Automaton:
    """One stop string: `matched` is the longest prefix of it that the text so far ends with."""

    def __init__(self, stop: str, fallback: Sequence[int]) -> None:
        self.matched = 0
        self._stop = stop
        self._fallback = fallback

    def step(self, character: str) -> int:
        """Take one character; the stop string's length if this completes it, else 0."""
        while self.matched and self._stop[self.matched] != character:
            self.matched = self._fallback[self.matched]
        if self._stop[self.matched] == character:
            self.matched += 1
        if self.matched == len(self._stop):
            self.matched = self._fallback[self.matched]
            return len(self._stop)
        return 0


def _fallback(stop: str) -> list[int]:
    """At `n`: the longest proper prefix of `stop[:n]` that is also its suffix."""
    found = [0, 0]
    for length in range(1, len(stop)):
        candidate = found[length]
        while candidate and stop[candidate] != stop[length]:
            candidate = found[candidate]
        found.append(candidate + (stop[candidate] == stop[length]))
    return found
