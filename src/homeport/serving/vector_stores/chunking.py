"""Cuts texts into chunks by the tokens of an embeddings model, at the ends of sentences or words where there are any.

No character is lost, and no chunk is longer than the model can read: what does not fit is cut into smaller chunks.
Knows nothing of how tokens are counted.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import NamedTuple

from homeport.domain.events import TokenCounts
from homeport.domain.vector_stores import Chunking

_SENTENCE = re.compile(r"[^\n.!?。！？；]*(?:[\n.!?。！？；]+\s*|$)")
_WORDS = re.compile(r"\s*(?:\S{1,40}\s*)(?:\S{1,39}\s+){0,7}")
_COUNT_TEXTS, _COUNT_CHARS = 2_000, 100_000
"""How much is counted at once: some tens of milliseconds of tokenizing."""

Count = Callable[[Sequence[str]], Awaitable[TokenCounts]]
"""Counts the tokens of texts."""


class Chunks(NamedTuple):
    """The chunks of a text. `window`: the most tokens of each, if the model allows fewer than were asked for."""

    texts: Sequence[str]
    window: int | None


class _Piece(NamedTuple):
    text: str
    tokens: int


async def cut(text: str, chunking: Chunking, count: Count) -> Chunks:
    """Cut a text. Raises what `count` raises."""
    most_allowed = (await count([""])).most
    most = min(chunking.max_tokens, most_allowed)
    overlap = min(chunking.overlap_tokens, most // 2)
    pieces: list[_Piece] = []
    for section in _sections(text):
        for piece in await _count_all(_SENTENCE.findall(section), count):
            is_fine = piece.tokens <= max(most // 4, 16)
            pieces += [piece] if is_fine else await _split_finely(piece.text, most, count)
    joined = await asyncio.to_thread(_join, pieces, most, overlap)
    texts = [each for each in map(str.strip, joined) if each]
    # The tokens of a text can be more than those of its pieces together.
    whole = await _count_all(texts, count)
    fitting = [part for piece in whole if piece.tokens for part in await _halve(piece, most_allowed, count)]
    return Chunks(fitting, most if most < chunking.max_tokens else None)


def _sections(text: str) -> Iterator[str]:
    """Yield parts of a text, none of which holds up others while it is split; they end at lines if there are any."""
    start = 0
    while start < len(text):
        end = start + _COUNT_CHARS
        if end < len(text):
            end = max(text.rfind("\n", start, end), text.rfind(" ", start, end)) + 1 or end
        yield text[start:end]
        start = end


async def _split_finely(text: str, most: int, count: Count) -> list[_Piece]:
    """Split a long sentence between words, and what has no spaces after some characters."""
    pieces = await _count_all(_WORDS.findall(text), count)
    return [part for piece in pieces for part in await _halves(piece, most, count)]


async def _halves(piece: _Piece, most: int, count: Count) -> list[_Piece]:
    """Cut a piece in the middle until no part has more tokens than `most`."""
    if piece.tokens <= most or len(piece.text) < 2:
        return [piece]
    middle = len(piece.text) // 2
    space = piece.text.rfind(" ", middle // 2, middle)
    at = space + 1 if space >= 0 else middle
    parts = await _count_all([piece.text[:at], piece.text[at:]], count)
    return [part for half in parts for part in await _halves(half, most, count)]


async def _halve(piece: _Piece, most: int, count: Count) -> list[str]:
    return [part.text.strip() for part in await _halves(piece, most, count) if part.text.strip()]


async def _count_all(texts: Sequence[str], count: Count) -> list[_Piece]:
    """Count the tokens of each text, many texts at a time."""
    pieces: list[_Piece] = []
    start = 0
    while start < len(texts):
        end, chars = start, 0
        while end < len(texts) and end - start < _COUNT_TEXTS and (end == start or chars < _COUNT_CHARS):
            chars += len(texts[end])
            end += 1
        counts = (await count(texts[start:end])).counts
        pieces += [_Piece(text, tokens) for text, tokens in zip(texts[start:end], counts, strict=True)]
        start = end
    return pieces


def _join(pieces: Sequence[_Piece], most: int, overlap: int) -> list[str]:
    """Join pieces to chunks of at most `most` tokens, each of which begins with the last ones of the chunk before."""
    chunks: list[str] = []
    start = 0
    while start < len(pieces):
        end, tokens = start, 0
        while end < len(pieces) and (end == start or tokens + pieces[end].tokens <= most):
            tokens += pieces[end].tokens
            end += 1
        chunks.append("".join(piece.text for piece in pieces[start:end]))
        if end == len(pieces):
            break
        # Repeat the end of the chunk, but leave room for at least one piece that is new.
        room = min(overlap, most - pieces[end].tokens)
        next_start = end
        while next_start - 1 > start and pieces[next_start - 1].tokens <= room:
            next_start -= 1
            room -= pieces[next_start].tokens
        start = next_start
    return chunks
