"""Tests of embeddings among tokens, with the colour eye: to the model, a picture of colours is the colours' words."""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from homeport.engines.text.executor import MediaRun, TokenBatch
from homeport.engines.text.executors.llama.executor import LlamaExecutor
from homeport.engines.text.media.blocks import MediaBlock
from homeport.engines.text.media.encoder import MediaEncoder
from tests.engines.text.media.conftest import MakePicture

SQUARES = (" red", " blue", " green", " white")
BEFORE, AFTER = "The squares of the picture, row by row, are", ". The first square is"

Item = list[int] | MediaBlock


def logits(model: LlamaExecutor, items: Sequence[Item], *, one_by_one: bool = False) -> NDArray[np.float32]:
    """Compute the items in an empty sequence, in one batch or one batch each; return the last token's logits."""
    tokens: list[int] = []
    media: list[MediaRun] = []
    rows = np.empty(0, np.float32)
    start = 0
    try:
        for at, item in enumerate(items):
            if isinstance(item, MediaBlock):
                assert item.rows is not None
                media.append(MediaRun(len(tokens) - start, item.rows, 0, item.n_positions, True))
                tokens += item.ids
            else:
                tokens += item
            if one_by_one or at == len(items) - 1:
                size = len(tokens) - start
                ids = np.array(tokens[start:], np.int32)
                places = np.arange(start, len(tokens), dtype=np.int32)
                zeros, last = np.zeros(size, np.int32), np.array([size - 1], np.int32)
                rows = model.forward(TokenBatch(ids, places, zeros, last, media=tuple(media)))[0].copy()
                start, media = len(tokens), []
        return rows
    finally:
        model.release([0])


@pytest.fixture
def items(model: LlamaExecutor, encoder: MediaEncoder, make_picture: MakePicture) -> list[Item]:
    """A sentence with a picture of the four squares."""
    part = make_picture(SQUARES)
    content = encoder.read(part)
    encoder.encode([(part, content)])
    before, after = (model.tokenize(text, special=False) for text in (BEFORE, AFTER))
    return [before, content.blocks[0], after]


def test_a_picture_of_colours_is_what_the_words_are(
    model: LlamaExecutor, words: dict[str, int], items: list[Item]
) -> None:
    """Logits after a picture differ from those after the words by at most twice the noise of cutting a batch."""
    spelled: list[Item] = [items[0], [words[word] for word in SQUARES], items[2]]
    split = logits(model, spelled, one_by_one=True)
    noise = float(np.abs(split - logits(model, spelled)).max())
    assert np.abs(logits(model, items) - split).max() <= 2 * noise
    assert np.abs(logits(model, items, one_by_one=True) - split).max() <= 2 * noise


def test_swapped_squares_are_told_apart(
    model: LlamaExecutor, encoder: MediaEncoder, make_picture: MakePicture, items: list[Item]
) -> None:
    """Another order of the same squares changes the logits far more than rounding."""
    part = make_picture((" blue", " red", *SQUARES[2:]))
    content = encoder.read(part)
    encoder.encode([(part, content)])
    swapped: list[Item] = [items[0], content.blocks[0], items[2]]
    assert np.abs(logits(model, swapped) - logits(model, items)).max() > 0.5
