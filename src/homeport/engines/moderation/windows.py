"""Splits texts into windows that fit the models. Every character of a text is in at least one of them.

Windows are short, because a vector averages its text, and one harmful sentence among many others would be lost. They
are split between words or clauses, and each overlaps the previous one. Knows nothing of categories.
"""

import re
from collections.abc import Callable, Iterator

TOKENS = 56
"""Tokens of one window, not counting those around the text."""
OVERLAP = 12

_CHARACTERS = 40  # maximum of a piece
# A word or a clause with the characters that end it; at most `_CHARACTERS`.
_PIECE = re.compile(rf"\S{{1,{_CHARACTERS}}}?(?:[，。！？；、…：]+\s*|\s+|$)|\S{{1,{_CHARACTERS}}}|\s+")


def split_windows(text: str, count: Callable[[str], int]) -> Iterator[str | None]:
    """Iterate over the windows of a text; sometimes None, while it is tokenized. `count`: tokens of a piece."""
    window: list[tuple[str, int]] = []
    size = n_new = 0
    for number, match in enumerate(_PIECE.finditer(text)):
        piece = match.group()
        tokens = count(piece) if piece.strip() else 0
        if window and size + tokens > TOKENS:
            yield "".join(each for each, _ in window)
            window = _overlap_pieces(window)
            size, n_new = sum(tokens for _, tokens in window), 0
        window.append((piece, tokens))
        size += tokens
        n_new += 1
        if number % _CHARACTERS == 0:
            yield None
    if n_new:
        yield "".join(each for each, _ in window)


def _overlap_pieces(window: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """Return the last pieces of a window that have at most `OVERLAP` tokens together, but not all of its pieces."""
    size, at = 0, len(window)
    while at > 1 and size + window[at - 1][1] <= OVERLAP:
        at -= 1
        size += window[at][1]
    return window[at:]
