"""Messages between pipeline and diffusion worker arrive unchanged."""

from multiprocessing import Pipe

import pytest

from homeport.engines.images.pipelines.diffusion import messages
from homeport.engines.images.pipelines.diffusion.messages import (
    GenerateImage,
    GenerationFailed,
    ImageDone,
    LoadModel,
    ModelLoaded,
    RawImage,
    StepDone,
)

PLATE = RawImage(2, 1, bytes(range(6)))
TASK = GenerateImage("a fox", "rain", 64, 64, 7, 4, 3.5, True, 0.5, PLATE, RawImage(2, 1, b"\0\xff"), 2, "EULER")


@pytest.mark.parametrize("order", [LoadModel({"weights": "/w"}, (("/l", 0.5),), 2), TASK])
def test_commands_arrive(order: messages.Command) -> None:
    """Commands arrive unchanged."""
    here, there = Pipe()
    with here, there:
        messages.send_message(here, order)
        assert messages.receive_command(there) == order


@pytest.mark.parametrize(
    "word", [ModelLoaded("k"), StepDone(1, 4, PLATE), StepDone(2, 4), ImageDone(PLATE), GenerationFailed("why")]
)
def test_replies_arrive(word: messages.Reply) -> None:
    """Replies arrive unchanged."""
    here, there = Pipe()
    with here, there:
        messages.send_message(there, word)
        assert messages.receive_reply(here) == word


def test_an_end_is_noticed() -> None:
    """Each side notices when the other one has ended."""
    here, there = Pipe()
    there.close()
    with here, pytest.raises(EOFError):
        messages.receive_reply(here)
