"""`python -m recipes.moderation`: fit the head, choose thresholds, measure, and write head.npz and the card.

`--measure` keeps the head and measures anew. `--check` says whether the card is that of the head that is there.
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
    """Do what the command line asks for; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m recipes.moderation", description=__doc__)
    parser.add_argument("--measure", action="store_true", help="keep the head, measure it and write the card")
    parser.add_argument("--check", action="store_true", help="compare the card's hashes with the files that are there")
    asked = parser.parse_args()
    if asked.check:
        return _check()
    with features.reader() as reader:
        if not asked.measure:
            _fit(reader)
        found = evaluate(reader, head.built_in())
    CARD.write_text(card.written(found, stamps()), encoding="utf-8")
    print(f"Wrote {CARD.relative_to(ROOT)}.")
    return 0


def stamps() -> dict[str, str]:
    """What the figures hang on: the beginnings of the hashes of the head and of the data."""
    files = [HEAD, *sorted(examples.DATA.glob("*.txt"))]
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest()[:16] for file in files}


def _check() -> int:
    there = CARD.read_text(encoding="utf-8") if CARD.exists() else ""
    stale = [name for name, stamp in stamps().items() if stamp not in there]
    print(
        f"The card is stale: {', '.join(stale)}. Run `python -m recipes.moderation`." if stale else "The card is new."
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
