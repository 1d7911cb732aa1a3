"""Inspect a network in training: a sheet of the fifty prompts, and how often the nearest image is correct.

`python -m recipes.images.preview FOLDER draft --name base --sheet sheet.png`
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recipes.images import (
    dataset,
    embeddings,
    objectives,
    train,
)
from recipes.images.dataset import Dataset
from recipes.images.evaluate import sheet
from recipes.images.judgement import Judge
from recipes.images.pictures import STYLES
from recipes.images.prompts import PROMPTS

_HELD_OUT = 300


def main() -> None:
    """Write the sheet and print the shares of hits."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("network", choices=("draft", "flow"))
    parser.add_argument("--name", default="base")
    parser.add_argument("--finish", default="")
    parser.add_argument("--style", choices=STYLES, default="flat")
    parser.add_argument("--guidance", type=float, default=1.0)
    parser.add_argument("--sheet", type=Path)
    arguments = parser.parse_args()
    data = dataset.load(arguments.folder)
    judge = Judge(data)
    prompts = torch.from_numpy(embeddings.embed([prompt.text for prompt in PROMPTS]))
    pictures = _pictures(arguments, prompts)
    sheet(list(pictures)).save(arguments.sheet)
    codes = _codes(data)
    rights = [set().union(*(codes.get(name.lower(), set()) for name in prompt.names)) for prompt in PROMPTS]
    print("prompts", _hits(judge, pictures, rights))
    for language in ("en", "zh", "de"):
        some = [
            i for i, text in enumerate(data.texts) if text.held_out and not text.colour and text.language == language
        ]
        some = sorted(some, key=lambda index: dataset.hash_of(data.texts[index].text))[:_HELD_OUT]
        made = _pictures(arguments, torch.from_numpy(data.vectors[some]))
        print("held out", language, len(some), _hits(judge, made, [{data.texts[i].code} for i in some]))


def _pictures(arguments: argparse.Namespace, vectors: Tensor) -> NDArray[np.uint8]:
    styles = torch.full((len(vectors),), STYLES.index(arguments.style))
    if arguments.network == "draft":
        draft = train.load_draft(arguments.folder, arguments.name)
        latents = draft(draft.reading(vectors), styles)
    else:
        chance = torch.Generator().manual_seed(7)
        model = train.load_transformer(arguments.folder, arguments.name)
        latents = objectives.sample(model, vectors, styles, chance, guidance=arguments.guidance)
    pixels = train.load_coder(arguments.folder).decode(latents)
    if arguments.finish:
        pixels = train.load_finisher(arguments.folder, arguments.finish)(pixels)
    return ((pixels + 1) * 127.5).round().clamp(0, 255).permute(0, 2, 3, 1).byte().numpy()


def _codes(data: Dataset) -> dict[str, set[str]]:
    codes: dict[str, set[str]] = {}
    for code, name in data.names.items():
        codes.setdefault(name.lower(), set()).add(code)
    return codes


def _hits(judge: Judge, pictures: NDArray[np.uint8], rights: Sequence[set[str]]) -> str:
    if not len(pictures):
        return "none"
    verdicts = [judge.judge(picture) for picture in pictures]
    first = np.mean([verdict.codes[0] in codes for verdict, codes in zip(verdicts, rights, strict=True)])
    five = np.mean([bool(codes & set(verdict.codes)) for verdict, codes in zip(verdicts, rights, strict=True)])
    return f"{first:.1%} nearest, {five:.1%} among five"


if __name__ == "__main__":
    main()
