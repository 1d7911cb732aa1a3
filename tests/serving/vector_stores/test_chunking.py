"""Texts cut into chunks: bounds, overlap, sentences, and texts without any place to cut."""

import itertools
from collections.abc import Sequence

import pytest

from homeport.domain.events import TokenCounts
from homeport.domain.vector_stores import Chunking
from homeport.serving.vector_stores.chunking import cut

MOST = 500


async def count_words(texts: Sequence[str]) -> TokenCounts:
    """Count words as tokens, and characters of words above four as more of them."""
    return TokenCounts(tuple(map(tokens, texts)), MOST)


def tokens(text: str) -> int:
    return sum(-(-len(word) // 4) for word in text.split())


async def test_a_short_text_is_one_chunk() -> None:
    """A text that fits is not cut."""
    assert await cut(" One. Two. \n", Chunking(100, 20), count_words) == (["One. Two."], None)


async def test_chunks_end_with_sentences_and_overlap() -> None:
    """Each chunk has whole sentences, as many as fit, and begins with the last sentences of the one before."""
    text = " ".join(f"Now s{at} ends." for at in range(100))
    chunks = (await cut(text, Chunking(100, 30), count_words)).texts
    assert all(tokens(chunk) <= 100 and chunk.startswith("Now") and chunk.endswith(".") for chunk in chunks)
    for one, other in itertools.pairwise(chunks):
        shared = next(size for size in range(len(one), 0, -1) if other.startswith(one[-size:]))
        assert 20 < tokens(one[-shared:]) <= 30
    assert all(f"s{at} " in "".join(chunks) for at in range(100))


@pytest.mark.parametrize(
    "text",
    [
        "word " * 3000,
        "x" * 9000,
        "我们今天去公园看花然后回家吃饭" * 300,
        "a\n" * 4000,
        ("long " * 400 + ". ") * 5,
        "word" + " " * 150_000 + "word" + "y" * 150_000,
    ],
)
async def test_nothing_is_lost_or_too_long(text: str) -> None:
    """Texts of one sentence, one word or one character per line are cut to chunks that have all of their characters."""
    chunks = (await cut(text, Chunking(100, 0), count_words)).texts
    assert "".join("".join(chunks).split()) == "".join(text.split())
    assert all(0 < tokens(chunk) <= 100 for chunk in chunks)


async def test_the_window_limits_chunks() -> None:
    """If the model reads fewer tokens than are asked for, the chunks are smaller, and the result says so."""
    chunks = await cut("word. " * 3000, Chunking(4096, 2048), count_words)
    assert chunks.window == MOST
    assert all(tokens(chunk) <= MOST for chunk in chunks.texts)
    assert (await cut("word. " * 3000, Chunking(MOST, 0), count_words)).window is None


async def test_pieces_that_have_more_tokens_together_are_cut_again() -> None:
    """A chunk that turns out to be longer than the model's window is cut, not refused."""

    def size(text: str) -> int:
        return len(text) * (2 if len(text) > 50 else 1)

    async def count(texts: Sequence[str]) -> TokenCounts:
        return TokenCounts(tuple(map(size, texts)), 60)

    chunks = (await cut("Twenty characters!! " * 20, Chunking(60, 0), count)).texts
    assert all(size(chunk) <= 60 for chunk in chunks)
    assert "".join(chunks).count("Twenty") == 20


async def test_text_that_the_model_cannot_read_is_left_out() -> None:
    """A chunk without any token is none."""

    async def count(texts: Sequence[str]) -> TokenCounts:
        return TokenCounts(tuple(0 for _ in texts), MOST)

    assert (await cut("\u200b \u200b", Chunking(), count)).texts == []
