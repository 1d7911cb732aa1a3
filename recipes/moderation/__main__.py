"""`python -m recipes.moderation`: fit the head, choose thresholds, measure, and write head.npz and the card.

`--measure` keeps the head and measures it again. `--check` reports whether the card is that of the current head.
"""

import argparse
import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from homeport.engines.moderation import head
from homeport.engines.moderation.engine import FeatureExtractor
from recipes.moderation import (
    card,
    examples,
    features,
    fitting,
)
from recipes.moderation.evaluation import evaluate

ROOT = Path(__file__).parents[2]
HEAD = ROOT / "src" / "homeport" / "engines" / "moderation" / "head.npz"
CARD = ROOT / "docs" / "moderation-card.md"


def main() -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m recipes.moderation", description=__doc__)
    parser.add_argument("--measure", action="store_true", help="keep the head, measure it and write the card")
    parser.add_argument("--check", action="store_true", help="compare the card's hashes with the current files")
    arguments = parser.parse_args()
    if arguments.check:
        return _check()
    with features.reader() as reader:
        if not arguments.measure:
            _fit(reader)
        evaluation = evaluate(reader, head.load_built_in())
    CARD.write_text(card.written(evaluation, stamps()), encoding="utf-8")
    print(f"Wrote {CARD.relative_to(ROOT)}.")
    return 0


def stamps() -> dict[str, str]:
    """What the figures depend on: the beginnings of the hashes of the head and the data, by file."""
    files = [HEAD, *sorted(examples.DATA.glob("*.txt"))]
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest()[:16] for file in files}


def _check() -> int:
    card_text = CARD.read_text(encoding="utf-8") if CARD.exists() else ""
    stale = [name for name, stamp in stamps().items() if stamp not in card_text]
    print(
        f"The card is stale: {', '.join(stale)}. Run `python -m recipes.moderation`."
        if stale
        else "The card is current."
    )
    return 1 if stale else 0


def _fit(reader: FeatureExtractor) -> None:
    known = examples.among_others(examples.read("train"))
    rows, wanted = features.features(reader, [each.text for each in known]), examples.targets(known)
    folds = np.array([each.fold for each in known])
    recipe = fitting.Recipe()
    weights = fitting.fit(rows, wanted, recipe)
    weights["thresholds"] = fitting.thresholds(fitting.unseen(rows, wanted, folds, recipe), wanted)
    arrays: dict[str, Any] = {name: value.astype(np.float32) for name, value in weights.items()}
    np.savez(HEAD, **arrays)
    print(f"Fitted on {len(known)} texts; wrote {HEAD.relative_to(ROOT)}.")


if __name__ == "__main__":
    raise SystemExit(main())
