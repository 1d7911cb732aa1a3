"""What worker and easel say to each other comes across whole."""

from multiprocessing import Pipe

import pytest

from homeport.engines.images.pipelines.diffusion import messages
from homeport.engines.images.pipelines.diffusion.messages import (
    Painted,
    Plate,
    Setup,
    Spoilt,
    Standing,
    Strode,
    Task,
)

PLATE = Plate(2, 1, bytes(range(6)))
TASK = Task("a fox", "rain", 64, 64, 7, 4, 3.5, True, 0.5, PLATE, Plate(2, 1, b"\0\xff"), 2, "EULER")


@pytest.mark.parametrize("order", [Setup({"weights": "/w"}, (("/l", 0.5),), 2), TASK])
def test_orders_come_across(order: messages.Order) -> None:
    """From the worker."""
    here, there = Pipe()
    with here, there:
        messages.send(here, order)
        assert messages.receive_order(there) == order


@pytest.mark.parametrize("word", [Standing("k"), Strode(1, 4, PLATE), Strode(2, 4), Painted(PLATE), Spoilt("why")])
def test_words_come_across(word: messages.Word) -> None:
    """From the easel."""
    here, there = Pipe()
    with here, there:
        messages.send(there, word)
        assert messages.receive_word(here) == word


def test_an_end_is_noticed() -> None:
    """By either, when the other is gone."""
    here, there = Pipe()
    there.close()
    with here, pytest.raises(EOFError):
        messages.receive_word(here)
