"""The drawings that the clip-art model knows, by their names in English and Chinese, and the nearest to a vector.

The table comes from `recipes/images/drawings.py`. Knows nothing of sentences or pixels.
"""

import io
import zipfile
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

TABLE = Path(__file__).with_name("drawings.zip")
"""The table in this package."""
_MAX_SPREAD = 200  # by how much more a direction without variance may be scaled up than the largest one, squared
_EPOCH = (1980, 1, 1, 0, 0, 0)

Floats = NDArray[np.float32]


class NamedDrawing(NamedTuple):
    """One drawing. `caption`: the name that the model was trained with.

    `scale`: the usual size of the thing, 1 for a person. `is_in_sky`: it belongs above things without a place.
    """

    english: str
    chinese: str
    caption: str
    english_names: tuple[str, ...] = ()
    chinese_names: tuple[str, ...] = ()
    scale: float = 1.0
    is_in_sky: bool = False


class DrawingVocabulary:
    """All drawings. `vectors` (n, 384): e5 vectors of names, of the drawings with the indices `owners` (n,)."""

    def __init__(self, drawings: Sequence[NamedDrawing], vectors: Floats, owners: NDArray[np.int16]) -> None:
        self.drawings = tuple(drawings)
        self._vectors, self._owners = vectors, owners
        self._english: dict[str, NamedDrawing] = {}
        self._chinese: dict[str, NamedDrawing] = {}
        for drawing in drawings:  # labels first, so that a further name of another drawing never replaces one
            self._english.setdefault(drawing.english.lower(), drawing)
            self._chinese.setdefault(drawing.chinese.lower(), drawing)
        for drawing in drawings:
            for name in drawing.english_names:
                self._english.setdefault(name.lower(), drawing)
            for name in drawing.chinese_names:
                self._chinese.setdefault(name.lower(), drawing)

    @classmethod
    def load(cls, path: Path = TABLE) -> Self:
        """Load a table that `write_table` wrote."""
        with zipfile.ZipFile(path) as archive:
            drawings = msgspec.json.decode(archive.read("drawings.json"), type=list[NamedDrawing])
            owners = np.load(io.BytesIO(archive.read("owners.npy")), allow_pickle=False)
            vectors = np.load(io.BytesIO(archive.read("vectors.npy")), allow_pickle=False)
        return cls(drawings, _unit_rows(vectors.astype(np.float32)), owners)

    def english(self, name: str) -> NamedDrawing | None:
        """Return the drawing with this English name, in lower case and in the number that it is listed in."""
        return self._english.get(name)

    def chinese(self, name: str) -> NamedDrawing | None:
        """Return the drawing with this Chinese name."""
        return self._chinese.get(name)

    @cached_property
    def max_english_words(self) -> int:
        """The number of words in the longest English name."""
        return max((name.count(" ") + 1 for name in self._english), default=0)

    @cached_property
    def max_chinese_chars(self) -> int:
        """The number of characters in the longest Chinese name."""
        return max(map(len, self._chinese), default=0)

    def nearest(self, vector: Floats) -> tuple[NamedDrawing, float]:
        """Return the drawing whose name is nearest to a text's vector (384,), and the cosine of both, whitened."""
        mean, turn, whitened = self._whitening
        cosines = whitened @ _unit_rows(((vector - mean) @ turn)[None])[0]
        best = int(cosines.argmax())
        return self.drawings[int(self._owners[best])], float(cosines[best])

    @cached_property
    def _whitening(self) -> tuple[Floats, Floats, Floats]:
        """The names' mean, the directions scaled to one size, and the whitened names.

        E5's vectors are all close together; whitened, unrelated names have cosines around zero.
        """
        mean = self._vectors.mean(axis=0)
        values, directions = np.linalg.eigh(np.cov((self._vectors - mean).T.astype(np.float64)))
        values = np.maximum(values, 0)
        floor = max(np.quantile(values, 0.25), values[-1] / _MAX_SPREAD, 1e-9)
        turn = (directions / np.sqrt(values + floor)).astype(np.float32)
        return mean, turn, _unit_rows((self._vectors - mean) @ turn)


def write_table(
    path: Path, drawings: Sequence[NamedDrawing], vectors: Floats, owners: NDArray[np.int16], licence: str
) -> None:
    """Write a table: names as JSON, vectors (n, 384) of length 1 in 8 bits. The same input, the same file.

    `licence`: the text of the license of the names.
    """
    steps = np.rint(vectors / np.abs(vectors).max(axis=1, keepdims=True) * 127).astype(np.int8)
    with zipfile.ZipFile(path, "w") as archive:
        _add(archive, "drawings.json", msgspec.json.encode(drawings))
        _add(archive, "LICENSE", licence.encode())
        for name, array in (("owners", owners), ("vectors", steps)):
            file = io.BytesIO()
            np.save(file, array)
            _add(archive, f"{name}.npy", file.getvalue())


def _add(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    archive.writestr(zipfile.ZipInfo(name, _EPOCH), data, zipfile.ZIP_DEFLATED)


def _unit_rows(rows: NDArray[np.floating]) -> Floats:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9), dtype=np.float32)
