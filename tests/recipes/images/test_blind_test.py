import json
from pathlib import Path

import numpy as np

from recipes.images import blind_test
from recipes.images.prompts import PROMPTS


def test_the_prompts_on_the_sheet_depend_on_texts_only() -> None:
    """The sheet has twenty-four of the fifty prompts, each once, including the four fixed ones."""
    chosen = blind_test.chosen()
    assert len(set(chosen)) == 24
    assert set(chosen) <= {prompt.text for prompt in PROMPTS}
    assert {"a red apple", "一只熊猫", "sailing boat", "soccer ball"} <= set(chosen)
    assert chosen == blind_test.chosen() != sorted(chosen)


def test_the_sheet_contains_every_image() -> None:
    """Seven images take two rows, and each is unchanged."""
    pictures = [np.full((16, 16, 3), 30 * number, np.uint8) for number in range(7)]
    made = np.asarray(blind_test.sheet(pictures))
    assert made.shape == (2 * (16 + 8 + 14), 6 * (16 + 8), 3)
    assert (made[14:30, 4:20] == 0).all()
    assert (made[38 + 14 : 38 + 30, 4:20] == 180).all()


def test_the_answers_of_a_reader_are_loaded(tmp_path: Path) -> None:
    """The completed key yields prompts, words and verdicts; without a file there are none."""
    path = tmp_path / "reading.json"
    assert blind_test.said(path) is None
    line = {"prompt": "a dog", "said": "a puppy", "right": True}
    path.write_text(json.dumps({"weights": "x", "reader": "a person", "pictures": [line]}))
    assert blind_test.said(path) == blind_test.Sitting("x", (("a dog", "a puppy", True),), "a person")
