"""Draw the fifty prompts with several things, judge each thing, and write a sheet of all pictures.

`python -m recipes.images.scenes DATA MODEL --sheet docs/image-scenes.png --page docs/image-scenes.md`. The judge is
exchangeable (`ThingJudge`); the one here compares with the training images and does not depend on the model.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from homeport.domain.images import ImageSize
from homeport.engines.images import pixels
from homeport.engines.images.pipelines.clipart import composer, postprocessing
from homeport.engines.images.pipelines.clipart.boxes import Box
from homeport.engines.images.pipelines.clipart.networks import SIDE, STYLES, Networks
from homeport.engines.images.pipelines.clipart.pipeline import E5CaptionEncoder
from homeport.engines.images.pipelines.clipart.planner import DrawingPlan, DrawingPlanner
from homeport.engines.images.pipelines.clipart.sampler import FlowSamplerParams, sample_latents
from homeport.engines.images.pipelines.clipart.vocabulary import DrawingVocabulary
from recipes.images import dataset, embeddings, evaluate
from recipes.images.embedding_judge import EmbeddingJudge
from recipes.images.judgement import Judge
from recipes.images.pictures import SIDE as JUDGED_SIDE
from recipes.images.scene_prompts import SCENE_PROMPTS, ScenePrompt

_SEED = 300
_STEPS = 8
_SHOWN = 160  # pixels along each side of a picture on the sheet
_GAP = 8

_BOTH = "English and Chinese"
_LANGUAGES = ("English", "Chinese", _BOTH)
_TOP = """# Pictures of several things

Written by `make image-scenes`; do not edit. How [homeport-emoji-128](image-model-card.md) draws prompts with two and
three things: it finds the things in the sentence, paints each as a drawing of its own, and lays the drawings out by
the words for places, numbers, colors and sizes. The fifty prompts were written before any was drawn; each has one
image, not selected.

![The fifty prompts, one image each, in the order of the table below](image-scenes.png)

A thing counts as recognized if, of all training images, the one nearest to some drawing in the picture is of that
thing: the judge of the model card, which sees each drawing's part of the finished picture with all that covers it.
Another judge, homeport-glance-256, embeds that part, and names of all these things; it is far from sure even of the
drawings that the model was trained on.

| prompts | things | recognized | share |
| --- | --- | --- | --- |"""
_PICTURES = """
| prompt | revised prompt | recognized |
| --- | --- | --- |"""

Pixels = NDArray[np.uint8]


class ThingJudge(Protocol):
    """Recognizes a thing in a part of a picture."""

    def recognizes(self, part: Pixels, labels: Sequence[str]) -> bool:
        """Whether a square part of a picture, on white, shows a thing with one of the English labels."""
        ...


class NearestImageJudge:
    """Implements `ThingJudge`: the training image nearest to the part is of a concept with one of the labels."""

    def __init__(self, folder: Path) -> None:
        data = dataset.load(folder)
        self._names = {code: name.lower() for code, name in data.names.items()}
        self._judge = Judge(data)

    def recognizes(self, part: Pixels, labels: Sequence[str]) -> bool:
        """Whether the nearest training image has one of the labels."""
        found = self._judge.judge(pixels.resize(part, ImageSize(JUDGED_SIDE, JUDGED_SIDE)), 1).codes[0]
        return self._names[found] in {label.lower() for label in labels}


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture: its pixels, the boxes of its drawings in pixels, and the revised prompt."""

    pixels: Pixels
    boxes: tuple[Box, ...]
    revised_prompt: str


class Painter:
    """Draws prompts with the serving code."""

    def __init__(self, model: Path) -> None:
        self._networks: Networks = evaluate.load(model)
        self._encode = E5CaptionEncoder(embeddings.load())
        self._planner = DrawingPlanner(DrawingVocabulary.load(), self._encode)

    def draw(self, prompt: str, seed: int, *, as_one: bool = False) -> Picture:
        """Draw a prompt as the server does, without enlarging it. `as_one`: as one drawing, for comparison."""
        plan = DrawingPlan(self._encode(prompt)[None]) if as_one else self._planner.plan(prompt)
        params = FlowSamplerParams(_STEPS, 1.0, seed, plan.vectors, style=STYLES[seed % len(STYLES)])
        *_, latents = sample_latents(self._networks, params)
        drawings = [postprocessing.clean(self._networks.decode(each)) for each in latents]
        return self._picture(plan, drawings, seed)

    def _picture(self, plan: DrawingPlan, drawings: Sequence[Pixels], seed: int) -> Picture:
        said = plan.revised_prompt or ""
        if plan.scene is None:
            return Picture(drawings[0], (Box(0, 0, 0, SIDE, SIDE),), said)
        composed = composer.compose(plan.scene, drawings, composer.scene_size(ImageSize(SIDE, SIDE)), seed)
        return Picture(composed.pixels, composed.boxes, said)


def recognized(judge: ThingJudge, picture: Picture, prompt: ScenePrompt) -> list[bool]:
    """Return for each thing of a prompt whether some part of the picture shows it."""
    parts = [_part(picture.pixels, box) for box in picture.boxes]
    return [any(judge.recognizes(part, labels) for part in parts) for labels in prompt.things]


def _part(picture: Pixels, box: Box) -> Pixels:
    """Return a box of a picture, centered in a square on white."""
    left, top = max(0, round(box.left)), max(0, round(box.top))
    cut = picture[top : round(box.bottom), left : round(box.right)]
    side = max(cut.shape[:2])
    square = np.full((side, side, 3), 255, np.uint8)
    down, right = (side - cut.shape[0]) // 2, (side - cut.shape[1]) // 2
    square[down : down + cut.shape[0], right : right + cut.shape[1]] = cut
    return square


def _sheet(pictures: Sequence[Pixels]) -> Image.Image:
    shown = [pixels.resize(picture, ImageSize(_SHOWN - _GAP, _SHOWN - _GAP)) for picture in pictures]
    return evaluate.sheet(shown)


@dataclass(frozen=True, slots=True)
class Score:
    """How many of the `things` of some `prompts` were recognized."""

    prompts: str
    things: int
    recognized: int

    @property
    def share(self) -> float:
        """The share that was recognized."""
        return self.recognized / self.things


def _judge(judge: ThingJudge, pictures: Sequence[Picture]) -> list[list[bool]]:
    return [recognized(judge, picture, prompt) for prompt, picture in zip(SCENE_PROMPTS, pictures, strict=True)]


def _score(found: Sequence[Sequence[bool]], language: str) -> Score:
    hits = [
        hit
        for prompt, each in zip(SCENE_PROMPTS, found, strict=True)
        for hit in each
        if language in {_BOTH, "English" if prompt.text.isascii() else "Chinese"}
    ]
    return Score(language, len(hits), sum(hits))


def _other_scores(arguments: argparse.Namespace, pictures: Sequence[Picture]) -> list[Score]:
    """Judge by a model of a server: the pictures, and for comparison the emoji sets' own drawings of these things."""
    things = {labels for prompt in SCENE_PROMPTS for labels in prompt.things}
    names = sorted({label for labels in things for label in labels})
    data, fine = dataset.load(arguments.folder), np.load(arguments.folder / "fine.npy", mmap_mode="r")
    codes = [data.names[row.code] for row in data.rows if not row.colour]
    originals = [(index, labels) for index, name in enumerate(codes) for labels in things if name in labels]
    scores = []
    for nearest in (1, 5):
        judge = EmbeddingJudge(arguments.server, arguments.judge, names, nearest)
        rank = "the nearest" if nearest == 1 else f"among the {nearest} nearest"
        way = f"by {arguments.judge}: the thing's name is {rank} of {len(names)}"
        scores.append(replace(_score(_judge(judge, pictures), _BOTH), prompts=f"{_BOTH}, judged {way}"))
        hits = [judge.recognizes(np.array(fine[index]), labels) for index, labels in originals]
        scores.append(Score(f"the emoji sets' own drawings of these things, judged {way}", len(hits), sum(hits)))
    return scores


def _page(scores: Sequence[Score], rows: Sequence[tuple[str, Sequence[bool]]]) -> str:
    """Return the page of figures. `rows`: revised prompt and judgements of each prompt."""
    table = [f"| {each.prompts} | {each.things} | {each.recognized} | {each.share:.1%} |" for each in scores]
    pictures = [
        f"| {prompt.text} | {revised} | {sum(hits)} of {len(hits)} |"
        for prompt, (revised, hits) in zip(SCENE_PROMPTS, rows, strict=True)
    ]
    return "\n".join([_TOP, *table, _PICTURES, *pictures, ""])


def main() -> None:
    """Draw, judge, and write the sheet and the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("--sheet", type=Path)
    parser.add_argument("--page", type=Path)
    parser.add_argument("--server", help="also judge by a model of this server, such as http://localhost:8080")
    parser.add_argument("--judge", default="homeport-glance-256", help="that model")
    arguments = parser.parse_args()
    painter, judge = Painter(arguments.model), NearestImageJudge(arguments.folder)
    pictures = [painter.draw(prompt.text, _SEED + index) for index, prompt in enumerate(SCENE_PROMPTS)]
    found = _judge(judge, pictures)
    alone = _judge(judge, [painter.draw(each.text, _SEED + i, as_one=True) for i, each in enumerate(SCENE_PROMPTS)])
    if arguments.sheet:
        _sheet([picture.pixels for picture in pictures]).save(arguments.sheet)
    scores = [_score(found, language) for language in _LANGUAGES]
    scores.append(replace(_score(alone, _BOTH), prompts=f"{_BOTH}, each drawn as one drawing, for comparison"))
    rows = [(picture.revised_prompt, hits) for picture, hits in zip(pictures, found, strict=True)]
    if arguments.server:
        scores += _other_scores(arguments, pictures)
    if arguments.page:
        arguments.page.write_text(_page(scores, rows))
    for prompt, picture, hits in zip(SCENE_PROMPTS, pictures, found, strict=True):
        print(*("+" if hit else "-" for hit in hits), prompt.text, "|", picture.revised_prompt)
    print(*(f"{score.prompts}: {score.recognized} of {score.things} ({score.share:.1%})" for score in scores), sep="\n")


if __name__ == "__main__":
    main()
