"""Evaluate the exported model with the serving code: the fifty prompts, held-out captions, a contact sheet.

`python -m recipes.images.evaluate FOLDER MODEL --sheet docs/image-model.png --report report.json`
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from homeport.domain.images import ImageSize
from homeport.engines.images.pipeline import PipelineInput
from homeport.engines.images.pipelines.clipart.networks import SIDE, Networks
from homeport.engines.images.pipelines.clipart.pipeline import ClipartPipeline
from recipes.images import dataset, embeddings
from recipes.images.dataset import Dataset, Text
from recipes.images.judgement import Judge, Verdict
from recipes.images.prompts import PROMPTS

_SEED, _SEED_VARIED = 7, 1007
_HELD_OUT = 200  # captions of each kind
_COLUMNS = 10

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Score:
    """The shares of images whose nearest concept is correct, is among the five nearest, and whose color is correct.

    `caption`: the share of nearest training captions with the correct concept; None without captions. `chance`: the
    share that one random guess reaches.
    """

    asked: int
    first: float
    among_five: float
    colour: float | None
    caption: float | None
    chance: float


class Evaluation:
    """One model, the judge and the training captions."""

    def __init__(self, folder: Path, model: Path) -> None:
        self._networks = load(model)
        self.data: Dataset = dataset.load(folder)
        self._judge = Judge(self.data)
        seen = [index for index, text in enumerate(self.data.texts) if not text.held_out]
        self._texts = [self.data.texts[index] for index in seen]
        self._vectors = self.data.vectors[seen]
        self._concepts = len({row.code for row in self.data.rows})

    def prompts(self) -> tuple[Score, list[Pixels], list[Verdict]]:
        """Evaluate the fifty prompts."""
        vectors = embeddings.embed([prompt.text for prompt in PROMPTS])
        return self._score(vectors, self._right(), [prompt.colour for prompt in PROMPTS])

    def variations(self, pictures: Sequence[Pixels]) -> tuple[Score, list[Pixels]]:
        """Evaluate one variation of each of the `pictures`, made without its prompt."""
        right = self._right()
        varied = [varied_from(self._networks, each, _SEED_VARIED + index) for index, each in enumerate(pictures)]
        verdicts = [self._judge.judge(picture, is_either_way=True) for picture in varied]
        pairs = list(zip(verdicts, right, strict=True))
        colour_pairs = [
            (found.colour, prompt.colour) for found, prompt in zip(verdicts, PROMPTS, strict=True) if prompt.colour
        ]
        return self._scored(pairs, colour_pairs, None), varied

    def _right(self) -> list[set[str]]:
        codes: dict[str, set[str]] = {}
        for code, name in self.data.names.items():
            codes.setdefault(name.lower(), set()).add(code)
        return [set().union(*(codes.get(name.lower(), set()) for name in prompt.names)) for prompt in PROMPTS]

    def held_out(self, *, coloured: bool) -> Score:
        """Evaluate held-out captions: of training images, or of pairs of thing and color that are not in training."""
        chosen = [i for i, text in enumerate(self.data.texts) if text.held_out and bool(text.colour) == coloured]
        chosen = sorted(chosen, key=lambda index: dataset.hash_of(self.data.texts[index].text))[:_HELD_OUT]
        texts: Sequence[Text] = [self.data.texts[index] for index in chosen]
        score, _, _ = self._score(self.data.vectors[chosen], [{t.code} for t in texts], [t.colour for t in texts])
        return score

    def _score(
        self, vectors: NDArray[np.float32], right: Sequence[set[str]], colours: Sequence[str]
    ) -> tuple[Score, list[Pixels], list[Verdict]]:
        pictures = [painted(self._networks, vector, _SEED + index) for index, vector in enumerate(vectors)]
        verdicts = [self._judge.judge(picture) for picture in pictures]
        nearest = [self._texts[index].code for index in (vectors @ self._vectors.T).argmax(axis=1)]
        colour_pairs = [(verdict.colour, colour) for verdict, colour in zip(verdicts, colours, strict=True) if colour]
        caption = _share([code in codes for code, codes in zip(nearest, right, strict=True)])
        return self._scored(list(zip(verdicts, right, strict=True)), colour_pairs, caption), pictures, verdicts

    def _scored(
        self, pairs: Sequence[tuple[Verdict, set[str]]], colour_pairs: Sequence[tuple[str, str]], caption: float | None
    ) -> Score:
        return Score(
            asked=len(pairs),
            first=_share([verdict.codes[0] in codes for verdict, codes in pairs]),
            among_five=_share([bool(codes & set(verdict.codes)) for verdict, codes in pairs]),
            colour=_share([actual == requested for actual, requested in colour_pairs]) if colour_pairs else None,
            caption=caption,
            chance=_share([len(codes) / self._concepts for _, codes in pairs]),
        )


def load(model: Path) -> Networks:
    """Load the exported networks of a folder."""
    return Networks({role: model / f"{role}.onnx" for role in ("step", "decoder", "encoder")}, threads=2)


def painted(networks: Networks, vector: NDArray[np.float32], seed: int) -> Pixels:
    """Generate an image of the model's own size from a caption's vector, as the server does."""
    return _last(ClipartPipeline(networks, lambda _: vector), PipelineInput("a caption", ImageSize(SIDE, SIDE), seed))


def varied_from(networks: Networks, picture: Pixels, seed: int) -> Pixels:
    """Generate a variation of an image, as the server does."""
    pipeline = ClipartPipeline(networks, lambda _: np.zeros(embeddings.DIMENSIONS, np.float32))
    return _last(pipeline, PipelineInput("", ImageSize(SIDE, SIDE), seed, image=picture))


def _last(pipeline: ClipartPipeline, pipeline_input: PipelineInput) -> Pixels:
    *_, image = pipeline.generate(pipeline_input)
    if not isinstance(image, np.ndarray):
        raise TypeError("the pipeline ended without an image")
    return image


def sheet(pictures: Sequence[Pixels]) -> Image.Image:
    """All images in rows of ten, in the order of the prompts, on white."""
    side = pictures[0].shape[0] + 8
    rows = -(-len(pictures) // _COLUMNS)
    canvas = Image.new("RGB", (_COLUMNS * side, rows * side), "white")
    for index, picture in enumerate(pictures):
        canvas.paste(Image.fromarray(picture), (index % _COLUMNS * side + 4, index // _COLUMNS * side + 4))
    return canvas


def _share(hits: Sequence[bool | float]) -> float:
    return round(float(np.mean(hits)), 4) if hits else 0.0


def main() -> None:
    """Evaluate the model and write the sheets and the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("--sheet", type=Path)
    parser.add_argument("--variations", type=Path, help="sheet of one variation of each image")
    parser.add_argument("--report", type=Path)
    parser.add_argument("--quick", action="store_true", help="only the fifty prompts")
    arguments = parser.parse_args()
    evaluation = Evaluation(arguments.folder, arguments.model)
    prompts, pictures, verdicts = evaluation.prompts()
    scores = {"prompts": prompts}
    if not arguments.quick:
        varied_score, varied = evaluation.variations(pictures)
        if arguments.variations:
            sheet(varied).save(arguments.variations)
        scores |= {
            "variations of these pictures": varied_score,
            "held-out captions": evaluation.held_out(coloured=False),
            "held-out colours": evaluation.held_out(coloured=True),
        }
    if arguments.sheet:
        sheet(pictures).save(arguments.sheet)
    found = [[evaluation.data.names[code] for code in verdict.codes[:2]] for verdict in verdicts]
    report = {
        "scores": {kind: {name: getattr(score, name) for name in Score.__slots__} for kind, score in scores.items()},
        "prompts": [[prompt.text, *names] for prompt, names in zip(PROMPTS, found, strict=True)],
    }
    if arguments.report:
        arguments.report.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    print(json.dumps(report["scores"], indent=1))


if __name__ == "__main__":
    main()
