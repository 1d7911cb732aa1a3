"""Messages between pipeline and diffusion worker arrive unchanged."""

import msgspec
import pytest

from homeport.engines.images.pipelines.diffusion import messages
from homeport.engines.images.pipelines.diffusion.messages import (
    GenerateImage,
    ImageDone,
    LoadModel,
    ModelLoaded,
    RawImage,
    StepDone,
)
from homeport.engines.model_process import Failure

PLATE = RawImage(2, 1, bytes(range(6)))
TASK = GenerateImage("a fox", "rain", 64, 64, 7, 4, 3.5, True, 0.5, PLATE, RawImage(2, 1, b"\0\xff"), 2, "EULER")


@pytest.mark.parametrize("order", [LoadModel({"weights": "/w"}, (("/l", 0.5),), 2), TASK])
def test_commands_arrive(order: messages.Command) -> None:
    """Commands arrive unchanged."""
    assert messages.COMMANDS.decode(msgspec.msgpack.encode(order)) == order


@pytest.mark.parametrize(
    "word", [ModelLoaded("k"), StepDone(1, 4, PLATE), StepDone(2, 4), ImageDone(PLATE), Failure("why")]
)
def test_replies_arrive(word: messages.Reply) -> None:
    """Replies arrive unchanged."""
    assert messages.REPLIES.decode(msgspec.msgpack.encode(word)) == word
