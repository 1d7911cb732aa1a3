"""A blind test: a sheet of images for a reader who does not know the prompts, and the reader's answers.

`python -m recipes.images.blind_test MODEL --sheet blind.png --key blind-key.txt` writes the sheet. The prompts on it
and their order depend on the prompts' texts only: four fixed ones and the twenty others with the smallest hashes.
"""

import argparse
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from recipes.images import embeddings, evaluate
from recipes.images.dataset import hash_of
from recipes.images.prompts import PROMPTS

_ALWAYS = ("a red apple", "一只熊猫", "sailing boat", "soccer ball")
_OTHERS = 20
_SEED = 100
_COLUMNS = 6
_GAP = 14  # pixels above each image, for its number
_SAID = Path(__file__).parent / "blind-reading.json"


@dataclass(frozen=True, slots=True)
class Sitting:
    """A reader's answers: the words for each image, and whether they name what the prompt arguments for."""

    weights: str
    lines: tuple[tuple[str, str, bool], ...]
    """Prompt, words, and whether they are correct."""
    reader: str
    """The reader: `a person`, or the kind of program."""


def chosen() -> list[str]:
    """The prompts on the sheet, in its order."""
    others = [prompt.text for prompt in PROMPTS if prompt.text not in _ALWAYS]
    return sorted([*_ALWAYS, *sorted(others, key=hash_of)[:_OTHERS]], key=lambda text: hash_of(f"order {text}"))


def weights(model: Path) -> str:
    """The hash of the files that generate an image from a prompt."""
    return hashlib.sha256((model / "step.onnx").read_bytes() + (model / "decoder.onnx").read_bytes()).hexdigest()


def said(path: Path = _SAID) -> Sitting | None:
    """The answers of a reader, or None if there are none."""
    if not path.exists():
        return None
    found = json.loads(path.read_text())
    lines = tuple((line["prompt"], line["said"], bool(line["right"])) for line in found["pictures"])
    return Sitting(found["weights"], lines, found["reader"])


def sheet(pictures: Sequence[NDArray[np.uint8]]) -> Image.Image:
    """The images in rows, numbered from 1, without other text."""
    side = pictures[0].shape[0] + 8
    rows = -(-len(pictures) // _COLUMNS)
    canvas = Image.new("RGB", (_COLUMNS * side, rows * (side + _GAP)), "white")
    pen = ImageDraw.Draw(canvas)
    for index, picture in enumerate(pictures):
        left, top = index % _COLUMNS * side + 4, index // _COLUMNS * (side + _GAP)
        pen.text((left, top), str(index + 1), fill="black")
        canvas.paste(Image.fromarray(picture), (left, top + _GAP))
    return canvas


def main() -> None:
    """Write the sheet and its key, the template of `blind-reading.json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--sheet", type=Path, required=True)
    parser.add_argument("--key", type=Path, required=True)
    arguments = parser.parse_args()
    prompts, networks = chosen(), evaluate.load(arguments.model)
    vectors = embeddings.embed(prompts)
    pictures = [evaluate.painted(networks, vector, _SEED + index) for index, vector in enumerate(vectors)]
    sheet(pictures).save(arguments.sheet)
    lines = [{"prompt": prompt, "said": "", "right": False} for prompt in prompts]
    key = {"weights": weights(arguments.model), "reader": "", "pictures": lines}
    arguments.key.write_text(json.dumps(key, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
