"""Write the model card from the training logs, the report of `evaluate` and the data: no figure is typed by hand.

`python -m training.images.card FOLDER MODEL REPORT docs/image-model-card.md`. Knows nothing of how figures come about.
"""

import argparse
import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

from training.images import dataset, pictures, sources

_TOP = """# Model card: homeport-emoji-64

Written by `python -m training.images.card`; do not edit. A small text-to-image model of emoji and clip art, 64 x 64
pixels, trained from scratch by this repository's `training/images`. It draws single things in the style of emoji sets;
it knows no photographs, scenes, counts or writing, and is close to having its training pictures by heart.

Captions are read as vectors of multilingual-e5-small (the catalogue's entry of that name holds the weights' hash), so
prompts may be in any of its languages; it was trained with captions in {languages}.
"""


def main() -> None:
    """Write the card."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("report", type=Path)
    parser.add_argument("card", type=Path)
    asked = parser.parse_args()
    asked.card.write_text(written(asked.folder, asked.model, json.loads(asked.report.read_text())))


def written(folder: Path, model: Path, report: dict[str, Any]) -> str:
    """The card's text."""
    data = dataset.load(folder)
    languages = ", ".join(sorted({text.language for text in data.texts}))
    parts = [_TOP.format(languages=languages), _data(data), _files(model), _runs(folder), _scores(report)]
    return "\n".join(parts)


def _data(data: dataset.Dataset) -> str:
    counts = Counter((pictures.STYLES[row.style], bool(row.colour)) for row in data.rows)
    rows = [
        f"| {package.name} {package.version} | {package.licence} | {counts[key, False]} | {counts[key, True]} |"
        for key, package in sources.PACKAGES.items()
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
    """Every run that left a log, the tried variants among them.

    Seconds: the autoencoder's since its last start, the others' of CPU time.
    """
    rows = []
    for log in sorted(folder.glob("*.log")):
        last = json.loads(log.read_text().splitlines()[-1])
        rows.append(f"| {log.stem} | {last['step']} | {last['seconds']} | {last['loss']} |")
    return "## Runs\n\n| run | steps | seconds | last loss |\n| --- | --- | --- | --- |\n" + "\n".join(rows) + "\n"


def _scores(report: dict[str, Any]) -> str:
    rows = [
        f"| {kind} | {score['asked']} | {score['first']:.1%} | {score['among_five']:.1%} | "
        f"{'–' if score['colour'] is None else format(score['colour'], '.1%')} | {score['caption']:.1%} | "
        f"{score['chance']:.2%} |"
        for kind, score in report["scores"].items()
    ]
    head = (
        "## Judgement\n\nWhether the training picture nearest to the painted one, over all sets, is of the concept "
        "asked for; the judge compares 16 x 16 cells and knows nothing of the model.\n\n"
        "| asked | pictures | nearest right | among five | colour right | nearest caption's concept | chance |\n"
        "| --- | --- | --- | --- | --- | --- | --- |\n"
    )
    return head + "\n".join(rows) + "\n"


if __name__ == "__main__":
    main()
