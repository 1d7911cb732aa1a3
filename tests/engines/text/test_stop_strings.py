"""Stop strings are found however a text is split into pieces."""

import re
import time

from hypothesis import given
from hypothesis import strategies as st

from homeport.engines.text.stop_strings import StopStringFinder, StopStrings

words = st.text("ab", min_size=1, max_size=6)


def first_completed(text: str, stops: list[str]) -> int | None:
    """Return where the stop string begins that is completed first, the longest of several."""
    found = [(m.start() + len(s), m.start()) for s in stops for m in re.finditer(f"(?={re.escape(s)})", text)]
    return min(found)[1] if found else None


@given(st.lists(st.text("ab", max_size=5), max_size=12), st.lists(words, min_size=1, max_size=4))
def test_found_where_the_whole_text_has_it(pieces: list[str], stops: list[str]) -> None:
    """However the text is split, the same stop string is found at the same place."""
    finder, read, found = StopStringFinder(StopStrings(stops)), 0, None
    for piece in pieces:
        start = finder.feed(piece)
        if start is not None:
            found = read + start
            break
        read += len(piece)
    text = "".join(pieces)
    assert found == first_completed(text, stops)
    assert finder.found in (("",) if found is None else stops)
    assert found is None or text[found:].startswith(finder.found)


@given(st.text("ab", max_size=20), st.lists(words, min_size=1, max_size=4))
def test_held_is_the_longest_ambiguous_tail(text: str, stops: list[str]) -> None:
    """Exactly the longest end that a stop string could still need is held back."""
    finder = StopStringFinder(StopStrings(stops))
    if finder.feed(text) is None:
        tails = [n for stop in stops for n in range(len(stop)) if text.endswith(stop[:n])]
        assert finder.held_characters == max(tails)


def test_adversarial_strings_stay_linear() -> None:
    """A long stop string and a text that matches it almost everywhere cost linear time."""
    n = 20_000
    finder = StopStringFinder(StopStrings(["a" * n + "b"]))
    began = time.process_time()
    assert finder.feed("a" * (3 * n)) is None
    assert finder.held_characters == n
    assert finder.feed("b") == -n
    assert time.process_time() - began < 5


def test_no_stops_hold_nothing() -> None:
    """Without strings, or with empty ones, nothing is held back or found."""
    for stops in ([], [""]):
        finder = StopStringFinder(StopStrings(stops))
        assert finder.feed("anything") is None
        assert finder.held_characters == 0
