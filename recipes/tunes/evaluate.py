"""Measure the model file against held-out tunes and random notes; print the figures, write the card and a blind sheet.

`python -m recipes.tunes.evaluate FOLDER MODEL docs/tunes-model-card.md --sheet docs/tunes-blind.abc --key KEY.json`.
"""

import argparse
import hashlib
import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from homeport.engines.music.tunes.composer import Composer
from recipes.tunes import abc_writer, card, dataset, samples
from recipes.tunes.dataset import Data
from recipes.tunes.figures import copied_runs, figures
from recipes.tunes.songs import Song

COUNT = 65  # composed tunes, five of each genre
_SHEET = 4  # tunes of each kind
_TONIC = 2  # of the sheet: D, where whistles and fiddles are at home


def measure(data: Data, composer: Composer) -> dict[str, Any]:
    """Return all figures."""
    wanted = samples.plans(COUNT)
    start = time.process_time()
    composed, exact = samples.composed(composer, wanted)
    seconds = time.process_time() - start
    random = [samples.random_notes(song, seed) for seed, song in enumerate(composed)]
    kinds = {"held out": data.held_out, "composed": composed, "random notes": random}
    tokens = sum(len(notes) for song in composed for _, notes in song.sections)
    return {
        "bars": len(exact),
        "bars exact": 100 * sum(exact) / len(exact),
        "first bar": _first_bar(composer),
        "tokens a second": tokens / seconds,
        "figures": {kind: asdict(figures(songs)) for kind, songs in kinds.items()},
        "copied": {kind: _runs(copied_runs(songs, data.trained)) for kind, songs in kinds.items()},
    }


def _runs(lengths: list[int]) -> dict[str, float]:
    return {"median": float(np.median(lengths)), "90 %": float(np.percentile(lengths, 90)), "longest": max(lengths)}


def _first_bar(composer: Composer) -> float:
    """Seconds until the first bar is composed: the longest of the thirteen genres."""
    longest = 0.0
    for plan, seed in samples.plans(13):
        start = time.perf_counter()
        next(composer.compose(plan, seed))
        longest = max(longest, time.perf_counter() - start)
    return longest


def sheet(data: Data, composer: Composer, seed: int) -> tuple[str, dict[int, str]]:
    """Return tunes in ABC without a word on where they come from, and the key: number to kind.

    The random notes have the rhythm of further composed tunes, and every tune has two sections.
    """
    composed, _ = samples.composed(composer, samples.plans(13)[: 2 * _SHEET])
    real = [song for song in data.held_out if len(song.sections) == len(composed[0].sections)]
    generator = np.random.default_rng(seed)
    chosen: list[tuple[str, Song]] = [
        *(("composed", song) for song in composed[:_SHEET]),
        *(("random notes", samples.random_notes(song, seed)) for song in composed[_SHEET:]),
        *(("held out", real[int(index)]) for index in generator.choice(len(real), _SHEET, replace=False)),
    ]
    order = generator.permutation(len(chosen))
    numbered = [(number, *chosen[int(index)]) for number, index in enumerate(order, 1)]
    texts = [abc_writer.written(song, number, f"Tune {number}", _TONIC) for number, _, song in numbered]
    return "\n".join(texts), {number: kind for number, kind, _ in numbered}


def stamp(model: Path) -> str:
    """Return the beginning of the model file's hash, which the card repeats."""
    return hashlib.sha256(model.read_bytes()).hexdigest()[:16]


def main() -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("card", type=Path)
    parser.add_argument("--sheet", type=Path)
    parser.add_argument("--key", type=Path)
    arguments = parser.parse_args()
    data = dataset.load(arguments.folder)
    composer = Composer(arguments.model)
    measured = measure(data, composer)
    print(json.dumps(measured, indent=1))
    size = arguments.model.stat().st_size
    text = card.written(card.Stamp(stamp(arguments.model), size), data, measured, _training(arguments.folder))
    arguments.card.write_text(text, "utf-8")
    if arguments.sheet and arguments.key:
        text, key = sheet(data, composer, seed=1)
        arguments.sheet.write_text(text, "utf-8")
        arguments.key.write_text(json.dumps(key, indent=1) + "\n", "utf-8")
    return 0


def _training(folder: Path) -> dict[str, Any]:
    """What `train` wrote about itself at its end."""
    trained: dict[str, Any] = json.loads((folder / "trained.json").read_text("utf-8"))
    return trained


if __name__ == "__main__":
    raise SystemExit(main())
