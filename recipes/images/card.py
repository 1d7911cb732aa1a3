"""Write the model card from the training logs, the report of `evaluate` and the data: no figure is typed by hand.

`python -m recipes.images.card FOLDER MODEL REPORT docs/image-model-card.md`. Knows nothing of how figures come about.
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
trained from scratch by this repository's `recipes/images` ({size:.1f} MB). It draws single things in the manner of two
emoji sets (even seeds in one's, odd seeds in the other's); it knows no photographs, scenes, counts or writing, and has
most of its training pictures nearly by heart. What it was not shown it mixes from what it was, or gets wrong.

A network of a few layers guesses the picture from the caption at once, and a walk of a few steps leads to a narrow bell
curve around that guess; it is not a transformer taught flow matching (why: `docs/decisions.md`; what else was tried:
`training/images/README.md`). So within a manner seeds differ little in what is drawn: what sets them apart is how
the drawing is put down, by rules that are not learnt: its tilt, size, proportions and shade, and in variations also
which way it faces. Rules also even out faint blotches, make what is nearly white white, and keep contours sharp in
larger answers.

![The fifty prompts, one picture each, none picked](image-model.png)

One variation of each of them, made from the picture alone, none picked:

![Variations](image-model-variations.png)

Captions are read as vectors of multilingual-e5-small (the catalogue's entry of that name holds the weights' hash), so
prompts may be in any of its languages; it was trained with captions in {languages}.
"""

_AGAIN = """## Trained again

From nothing, with another seed (`make image-again`; the runs named `second` above), judged in the same way:

"""


def main() -> None:
    """Write the card."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("report", type=Path)
    parser.add_argument("card", type=Path)
    parser.add_argument("--again", type=Path, help="the report of a training with another seed, if there is one")
    asked = parser.parse_args()
    again = json.loads(asked.again.read_text()) if asked.again and asked.again.exists() else None
    asked.card.write_text(written(asked.folder, asked.model, json.loads(asked.report.read_text()), again))


def written(folder: Path, model: Path, report: dict[str, Any], again: dict[str, Any] | None = None) -> str:
    """The card's text. `again`: the report of a training with another seed."""
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
        "## Licences\n\nThe weights are under this repository's licence (see LICENSE). They were learnt from drawings "
        "and captions under the licences below, which the packages state themselves and which allow it: Noto by Google "
        "(Apache-2.0), Fluent Emoji by Microsoft (MIT), emojibase's labels (MIT). No "
        "file of theirs ships, but what is painted of a known thing can come near to a copy of one of their drawings.\n"
    )


def _data(data: dataset.Dataset) -> str:
    counts = Counter((pictures.STYLES[row.style], bool(row.colour)) for row in data.rows)
    rows = [
        f"| {package.name} {package.version} | {package.licence} | {counts[key, False]} | {counts[key, True]} |"
        for key, package in packages.PACKAGES.items()
    ]
    held_out = sum(text.held_out for text in data.texts)
    head = "## Data\n\n| npm package | licence | pictures | recoloured |\n| --- | --- | --- | --- |\n"
    return f"{head}{chr(10).join(rows)}\n\n{len(data.texts)} captions, {held_out} of them held out of training.\n"


def _files(model: Path) -> str:
    rows = [
        f"| {path.name} | {path.stat().st_size} | `{hashlib.sha256(path.read_bytes()).hexdigest()}` |"
        for path in sorted(model.glob("*.onnx"))
    ]
    return "## Files\n\n| file | bytes | sha256 |\n| --- | --- | --- |\n" + "\n".join(rows) + "\n"


def _runs(folder: Path) -> str:
    """What each checkpoint had behind it, in steps and seconds of CPU time, and the loss last logged before it."""
    rows = []
    for log in sorted(folder.glob("*.log")):
        state = checkpoints.load(log.with_suffix(".pt")) or {"done": 0, "seconds": 0}
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        loss = [line["loss"] for line in lines if line["step"] <= state["done"]][-1:]
        rows.append(f"| {log.stem} | {state['done']} | {state['seconds']:.0f} | {loss[0] if loss else '–'} |")
    return "## Runs\n\n| run | steps | seconds | last loss |\n| --- | --- | --- | --- |\n" + "\n".join(rows) + "\n"


def _judgement(report: dict[str, Any]) -> str:
    return (
        "## Judgement\n\nWhether the training picture nearest to the painted one, over all sets, is of the concept "
        "asked for. The judge compares 16 x 16 cells of drawings brought to one place and size, of small tilts the "
        "best, of variations also mirrored; it knows nothing of the model.\n\n"
    ) + _scores(report)


def _scores(report: dict[str, Any]) -> str:
    rows = [
        f"| {kind} | {score['asked']} | {score['first']:.1%} | {score['among_five']:.1%} | "
        f"{_share(score['colour'])} | {_share(score['caption'])} | {score['chance']:.2%} |"
        for kind, score in report["scores"].items()
    ]
    head = (
        "| asked | pictures | nearest right | among five | colour right | nearest caption's concept | chance |\n"
        "| --- | --- | --- | --- | --- | --- | --- |\n"
    )
    return head + "\n".join(rows) + "\n"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"


def _read(model: Path) -> str:
    """What a reader named without knowing the prompts, or that none was asked about these weights."""
    head = (
        "## Read blind\n\n`make image-blind` makes a sheet for a reader who does not know the prompts, who writes down "
        "what is in each picture: 24 of the fifty prompts, the four that must be known out of the box and the twenty "
        "others whose texts' hashes are least, whatever their pictures look like, with seeds of their own.\n\n"
    )
    sitting = blind_test.said()
    if sitting is None:
        return head + "Nobody has read it yet.\n"
    rows = [f"| {prompt} | {words} | {'yes' if right else 'no'} |" for prompt, words, right in sitting.lines]
    right = sum(line[2] for line in sitting.lines)
    count = f"**{right} of {len(sitting.lines)}** were named rightly; the reader was {sitting.reader}."
    if sitting.weights != blind_test.weights(model):
        count += " The weights have changed since."
    return f"{head}{count}\n\n| prompt | the reader's words | right |\n| --- | --- | --- |\n" + "\n".join(rows) + "\n"


if __name__ == "__main__":
    main()
