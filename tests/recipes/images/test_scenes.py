from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from homeport.engines.images.pipelines.clipart.boxes import Box
from homeport.engines.images.pipelines.clipart.vocabulary import DrawingVocabulary
from recipes.images.scene_prompts import SCENE_PROMPTS, ScenePrompt
from recipes.images.scenes import Picture, recognized

RED, BLUE = (220, 0, 0), (0, 0, 220)


class ColorJudge:
    """Takes a part for a thing if its middle has the thing's color."""

    def recognizes(self, part: NDArray[np.uint8], labels: Sequence[str]) -> bool:
        middle = part[part.shape[0] // 2, part.shape[1] // 2]
        return bool((np.abs(middle.astype(int) - {"red": RED, "blue": BLUE}[labels[0]]) < 30).all())


def test_a_thing_is_recognized_in_any_part_of_the_picture() -> None:
    """Each thing of the prompt is looked for in the box of each drawing, and nowhere else."""
    pixels = np.full((100, 100, 3), 255, np.uint8)
    pixels[10:40, 10:30] = RED
    pixels[60:80, 50:90] = BLUE
    prompt = ScenePrompt("red and blue", (("red",), ("blue",)))
    boxes = (Box(0, 10, 10, 20, 30), Box(1, 50, 60, 40, 20))
    assert recognized(ColorJudge(), Picture(pixels, boxes, ""), prompt) == [True, True]
    assert recognized(ColorJudge(), Picture(pixels, boxes[:1], ""), prompt) == [True, False]


def test_fifty_prompts_in_two_languages_have_two_or_three_things() -> None:
    """Half of them are Chinese, none is there twice, and every label is that of a drawing."""
    texts = [prompt.text for prompt in SCENE_PROMPTS]
    assert len(set(texts)) == 50
    assert sum(text.isascii() for text in texts) == 25
    labels = {drawing.english for drawing in DrawingVocabulary.load().drawings}
    for prompt in SCENE_PROMPTS:
        assert len(prompt.things) in {2, 3}
        assert {label for names in prompt.things for label in names} <= labels, prompt
