"""Write the model card from the training logs, the report of `evaluate` and the data; no figure is typed by hand.

`python -m recipes.images.card FOLDER MODEL REPORT docs/image-model-card.md`.
"""

import argparse
import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

from recipes.images import (
    blind_test,
    checkpoints,
    dataset,
    packages,
    pictures,
)

_TOP = """# Model card: homeport-emoji-128

Written by `make image-judge`; do not edit. A small text-to-image model of emoji and clip art, {side} x {side} pixels,
trained from scratch by this repository's `recipes/images` ({size:.1f} MB). It draws single things in the styles of two
emoji sets (even seeds use one, odd seeds the other); prompts with several things are [composed](image-scenes.md) from
such drawings by rules. It cannot draw photographs or writing, and it has memorized most of its training images. It
mixes what it was not shown from what it was, or gets it wrong.

A network of a few layers predicts the image from the caption at once, and a sampler of a few steps moves to a narrow
normal distribution around that prediction. It is not a flow-matching transformer (why: `docs/decisions.md`; what else
was tried: `recipes/images/README.md`). So within a style, seeds change little of what is drawn. They change how the
drawing is placed, by rules that are not learned: its tilt, size, proportions and shade, and in variations also the
side it faces. Rules also smooth faint blotches, turn near-white into white, and keep contours sharp in larger images.

![The fifty prompts, one image each, not selected](image-model.png)

One variation of each of them, made from the image alone, not selected:

![Variations](image-model-variations.png)

The model reads captions as vectors of multilingual-e5-small (the catalogue's entry of that name holds the weights'
hash), so prompts may be in any of its languages; it was trained with captions in {languages}."""

_AGAIN = """## Second training

From scratch, with another seed (`make image-again`; the runs named `second` above), evaluated in the same way:

"""


def main() -> None:
    """Write the card."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("report", type=Path)
    parser.add_argument("card", type=Path)
    parser.add_argument("--again", type=Path, help="report of a training with another seed")
    arguments = parser.parse_args()
    again = json.loads(arguments.again.read_text()) if arguments.again and arguments.again.exists() else None
    arguments.card.write_text(
        written(arguments.folder, arguments.model, json.loads(arguments.report.read_text()), again)
    )


def written(folder: Path, model: Path, report: dict[str, Any], again: dict[str, Any] | None = None) -> str:
    """The text of the card. `again`: the report of a training with another seed."""
    data = dataset.load(folder)
    languages = ", ".join(sorted({text.language for text in data.texts}))
    size = sum(path.stat().st_size for path in model.glob("*.onnx")) / 1e6
    top = _TOP.format(languages=languages, side=pictures.FINE, size=size)
    parts = [top, _licences(), _data(data), _files(model), _runs(folder), _judgement(report)]
    if again:
        parts.append(_AGAIN + _scores(again))
    parts.append(_read(model))
    return "\n".join(parts)


def _licences() -> str:
    return (
        "## Licenses\n\nThe weights are under this repository's license (see LICENSE). They were trained on drawings "
        "and captions under the licenses below, which the packages state themselves and which allow it: Noto by Google "
        "(Apache-2.0), Fluent Emoji by Microsoft (MIT), emojibase's labels (MIT). None of their files ships, but an "
        "image of a known thing can be close to a copy of one of their drawings. The table of names in which prompts "
        "are searched contains emojibase's English and Chinese labels and short codes.\n"
    )


def _data(data: dataset.Dataset) -> str:
    counts = Counter((pictures.STYLES[row.style], bool(row.colour)) for row in data.rows)
    rows = [
        f"| {package.name} {package.version} | {package.licence} | {counts[key, False]} | {counts[key, True]} |"
        for key, package in packages.PACKAGES.items()
    ]
    held_out = sum(text.held_out for text in data.texts)
    head = "## Data\n\n| npm package | license | images | recolored |\n| --- | --- | --- | --- |\n"
    return f"{head}{chr(10).join(rows)}\n\n{len(data.texts)} captions, {held_out} of them held out of training.\n"


def _files(model: Path) -> str:
    rows = [
        f"| {path.name} | {path.stat().st_size} | `{hashlib.sha256(path.read_bytes()).hexdigest()}` |"
        for path in sorted(model.glob("*.onnx"))
    ]
    return "## Files\n\n| file | bytes | sha256 |\n| --- | --- | --- |\n" + "\n".join(rows) + "\n"


def _runs(folder: Path) -> str:
    """The table of runs: steps and CPU seconds up to each checkpoint, and the last logged loss."""
    rows = []
    for log in sorted(folder.glob("*.log")):
        state = checkpoints.load(log.with_suffix(".pt")) or {"done": 0, "seconds": 0}
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        loss = [line["loss"] for line in lines if line["step"] <= state["done"]][-1:]
        rows.append(f"| {log.stem} | {state['done']} | {state['seconds']:.0f} | {loss[0] if loss else '–'} |")
    return "## Runs\n\n| run | steps | seconds | last loss |\n| --- | --- | --- | --- |\n" + "\n".join(rows) + "\n"


def _judgement(report: dict[str, Any]) -> str:
    return (
        "## Evaluation\n\nWhether the training image nearest to the generated one, over all sets, is of the requested "
        "concept. The evaluation compares 16 x 16 cells of drawings moved to one place and size, with the best of "
        "small tilts, for variations also mirrored; it does not depend on the model.\n\n"
    ) + _scores(report)


def _scores(report: dict[str, Any]) -> str:
    rows = [
        f"| {kind} | {score['asked']} | {score['first']:.1%} | {score['among_five']:.1%} | "
        f"{_share(score['colour'])} | {_share(score['caption'])} | {score['chance']:.2%} |"
        for kind, score in report["scores"].items()
    ]
    head = (
        "| prompts | images | nearest right | among five | color right | nearest caption's concept | chance |\n"
        "| --- | --- | --- | --- | --- | --- | --- |\n"
    )
    return head + "\n".join(rows) + "\n"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"


def _read(model: Path) -> str:
    """The section on the blind test, with the reader's answers if there are any."""
    head = (
        "## Blind test\n\n`make image-blind` makes a sheet for a reader who does not know the prompts and names what "
        "each image shows: 24 of the fifty prompts, the four that must work out of the box and the twenty others with "
        "the smallest hashes of their texts, whatever their images look like, with seeds of their own.\n\n"
    )
    sitting = blind_test.said()
    if sitting is None:
        return head + "No reader has seen it yet.\n"
    rows = [f"| {prompt} | {words} | {'yes' if right else 'no'} |" for prompt, words, right in sitting.lines]
    right = sum(line[2] for line in sitting.lines)
    count = f"**{right} of {len(sitting.lines)}** were named correctly; the reader was {sitting.reader}."
    if sitting.weights != blind_test.weights(model):
        count += " The weights have changed since."
    return f"{head}{count}\n\n| prompt | the reader's words | correct |\n| --- | --- | --- |\n" + "\n".join(rows) + "\n"


if __name__ == "__main__":
    main()
