import numpy as np
from numpy.typing import NDArray

from recipes.images.dataset import Dataset, Row
from recipes.images.judgement import Judge, main_colour
from recipes.images.pictures import recoloured
from recipes.images.prompts import PROMPTS


def _car() -> NDArray[np.uint8]:
    drawn = np.full((64, 64, 3), 255, np.uint8)
    drawn[20:40, 8:56] = (220, 30, 30)
    drawn[40:48, 12:24] = (60, 60, 60)
    return drawn


def test_only_the_main_colour_is_replaced() -> None:
    """The body becomes blue; tires and paper are unchanged."""
    turned = recoloured(_car(), 218.0)
    assert turned is not None
    assert main_colour(turned) == "blue"
    assert (np.abs(turned[41:47, 13:23].astype(int) - 60) < 3).all()
    assert (turned[:8] == 255).all()


def test_drawings_in_black_and_white_are_not_recoloured() -> None:
    """A drawing without color or gray cannot take a color."""
    drawn = np.full((64, 64, 3), 255, np.uint8)
    drawn[16:48, 16:48] = 0
    assert recoloured(drawn, 0.0) is None


def test_the_judge_recognises_a_blurred_and_shifted_image() -> None:
    """Its nearest concept is its own."""
    rng = np.random.default_rng(1)
    coarse = rng.integers(0, 255, (5, 8, 8, 3)).astype(np.uint8)
    drawn = coarse.repeat(8, axis=1).repeat(8, axis=2)
    data = Dataset(drawn, [Row(str(index), 0, "", 1.0) for index in range(5)], [], np.zeros((0, 384), np.float32), {})
    seen = np.clip(np.roll(drawn[3], 1, axis=0).astype(int) + rng.integers(-20, 20, (64, 64, 3)), 0, 255)
    verdict = Judge(data).judge(seen.astype(np.uint8), most=2)
    assert verdict.codes[0] == "3"
    assert len(verdict.codes) == 2


def test_there_are_fifty_prompts_in_two_languages() -> None:
    """There are fifty different prompts; some are in Chinese and some name a color."""
    texts = [prompt.text for prompt in PROMPTS]
    assert len(set(texts)) == 50
    assert sum(not text.isascii() for text in texts) >= 10
    assert sum(bool(prompt.colour) for prompt in PROMPTS) >= 10
