"""`python -m recipes.glance FOLDER`: fetch, train, measure, and write projection.npz, the card and the test's data.

`--measure` keeps the projections and measures them again. `--check` reports whether the card is that of the current
files; it needs no folder.
"""

import argparse
import hashlib
from pathlib import Path

import numpy as np

from homeport.engines.embeddings.dual_encoder import projection
from recipes.glance import card, dataset, evaluation, held_out, training
from recipes.glance.fitting import Recipe

ROOT = Path(__file__).parents[2]
PROJECTION = ROOT / "src" / "homeport" / "engines" / "embeddings" / "dual_encoder" / "projection.npz"
CARD = ROOT / "docs" / "glance-model-card.md"
HELD_OUT = ROOT / "tests" / "data" / "glance" / "held-out.npz"


def main() -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m recipes.glance", description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", help="where packages and what is computed from them are kept")
    parser.add_argument("--measure", action="store_true", help="keep the projections, measure them, write the card")
    parser.add_argument("--check", action="store_true", help="compare the card's hash with the current file")
    arguments = parser.parse_args()
    if arguments.check:
        return _check()
    if arguments.folder is None:
        parser.error("FOLDER is missing")
    data = dataset.load(arguments.folder)
    if not arguments.measure:
        recipe = Recipe()
        weights = training.train(data, recipe)
        np.savez(PROJECTION, **{name: value.astype(np.float16) for name, value in weights.items()})  # type: ignore[arg-type]
        print(f"Wrote {PROJECTION.relative_to(ROOT)}.")
    trained = projection.load_built_in()
    held_out.write(HELD_OUT, data)
    measured = evaluation.measure(data, trained)
    text = card.written(data, measured, stamps(), trained.class_share, PROJECTION.stat().st_size)
    CARD.write_text(text, encoding="utf-8")
    print(f"Wrote {CARD.relative_to(ROOT)} and {HELD_OUT.relative_to(ROOT)}.")
    return 0


def stamps() -> dict[str, str]:
    """Return what the figures depend on: the beginning of the hash of the projections, by file."""
    return {PROJECTION.name: hashlib.sha256(PROJECTION.read_bytes()).hexdigest()[:16]}


def _check() -> int:
    text = CARD.read_text(encoding="utf-8") if CARD.exists() else ""
    stale = [name for name, stamp in stamps().items() if stamp not in text]
    print("The card is stale: run `python -m recipes.glance FOLDER --measure`." if stale else "The card is current.")
    return 1 if stale else 0


if __name__ == "__main__":
    raise SystemExit(main())
