"""Cuts texts into windows that the models read whole. Every character of a text stands in at least one of them.

Windows are short, because one bad sentence among many good ones is lost in the average that a vector is. They are cut
between words or clauses, and each begins with the end of the one before. Knows nothing of what is looked for.
"""

import re
from collections.abc import Callable, Iterator

TOKENS = 56
"""Of one window, those around the text not counted."""
OVERLAP = 12

_CHARACTERS = 40  # of a piece without anything to cut at; and of one that is tokenised by itself
# A word or a clause with what ends it; where nothing ends, so many characters.
_PIECE = re.compile(rf"\S{{1,{_CHARACTERS}}}?(?:[，。！？；、…：]+\s*|\s+|$)|\S{{1,{_CHARACTERS}}}|\s+")


def split_windows(text: str, count: Callable[[str], int]) -> Iterator[str | None]:
    """Give the windows of a text, and None now and then while it is measured. `count`: tokens of a piece by itself."""
    window: list[tuple[str, int]] = []
    size = fresh = 0
    for number, match in enumerate(_PIECE.finditer(text)):
        piece = match.group()
        tokens = count(piece) if piece.strip() else 0
        if window and size + tokens > TOKENS:
            yield "".join(each for each, _ in window)
            window = _overlap_pieces(window)
            size, fresh = sum(tokens for _, tokens in window), 0
        window.append((piece, tokens))
        size += tokens
        fresh += 1
        if number % _CHARACTERS == 0:
            yield None
    if fresh:
        yield "".join(each for each, _ in window)


def _overlap_pieces(window: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """The last pieces of a window that are at most the overlap together, not all of them."""
    size, at = 0, len(window)
    while at > 1 and size + window[at - 1][1] <= OVERLAP:
        at -= 1
        size += window[at][1]
    return window[at:]
