import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from recipes.images.dataset import Dataset, Row
from recipes.images.judgement import Judge

SHAPES = {
    "flag": (slice(8, 32), slice(16, 52)),
    "pole": (slice(6, 58), slice(16, 24)),
    "base": (slice(50, 58), slice(6, 58)),
}


def _drawing(name: str) -> NDArray[np.uint8]:
    made = np.full((64, 64, 3), 255, np.uint8)
    made[SHAPES["pole"]] = (90, 60, 30)
    made[SHAPES[name]] = (200, 30, 30)
    return made


@pytest.fixture
def judge() -> Judge:
    """A judge with three drawings."""
    rows = [Row(name, 0, "", 1.0) for name in SHAPES]
    return Judge(Dataset(np.stack([_drawing(name) for name in SHAPES]), rows, [], np.zeros((0, 384), np.float32), {}))


@pytest.mark.parametrize("name", SHAPES)
def test_a_moved_drawing_is_recognised(judge: Judge, name: str) -> None:
    """A drawing that is tilted, smaller and moved is recognized, and its color is red."""
    small = Image.fromarray(_drawing(name)).rotate(7, fillcolor="white").resize((51, 51))
    paper = Image.new("RGB", (64, 64), "white")
    paper.paste(small, (12, 2))
    verdict = judge.judge(np.asarray(paper))
    assert (verdict.codes[0], verdict.colour) == (name, "red")


def test_a_mirrored_drawing_is_recognised_if_allowed(judge: Judge) -> None:
    """With `is_either_way`, a mirrored drawing is recognized."""
    mirrored = np.ascontiguousarray(_drawing("flag")[:, ::-1])
    assert judge.judge(mirrored, is_either_way=True).codes[0] == "flag"
