"""A segment of a search index: the chunks of some files, as a matrix of vectors and as lists of words.

Never changed once it is made. The arrays are memory-mapped, so that the system can take their memory; their files have
no name, so that nothing is left of them when the process ends. Knows nothing of SQL, or of how rankings are combined.
"""

import tempfile
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from homeport.store.word_counts import ENTRY_BYTES

Floats = NDArray[np.float32]
K1, B = 1.2, 0.75
"""The usual parameters of BM25: how soon more of a word counts no more, and how much long texts are held against it."""


class ChunkRow(NamedTuple):
    """What a segment is made of: a chunk's file and number, its vector, and its words as `word_counts` packs them."""

    file_seq: int
    number: int
    vector: bytes
    words: bytes


class Segment:
    """The chunks of some files. `files`: their numbers; `file_at`: the place there of each chunk's file.

    `numbers`: of each chunk in its file; `n_words`: its length.
    """

    def __init__(self, rows: Iterable[ChunkRow], folder: Path) -> None:
        file_seqs: list[int] = []
        numbers: list[int] = []
        sizes: list[int] = []
        hashes: list[NDArray[np.uint32]] = []
        counts: list[NDArray[np.uint16]] = []
        self.dimensions = 0
        with tempfile.TemporaryFile(dir=folder) as file:
            for row in rows:
                self.dimensions = self.dimensions or len(row.vector) // 4
                if len(row.vector) != self.dimensions * 4 or not row.vector or len(row.words) % ENTRY_BYTES:
                    continue  # a damaged row
                n = len(row.words) // ENTRY_BYTES
                file.write(row.vector)
                file_seqs.append(row.file_seq)
                numbers.append(row.number)
                sizes.append(n)
                hashes.append(np.frombuffer(row.words, "<u4", n))
                counts.append(np.frombuffer(row.words, "<u2", n, 4 * n))
            file.flush()
            self.vectors: Floats = _mapped(file, "<f4", (len(numbers), self.dimensions))
        self.files, self.file_at = np.unique(np.array(file_seqs, np.int64), return_inverse=True)
        self.numbers = np.array(numbers, np.int32)
        self._add_words(sizes, hashes, counts, folder)

    def __len__(self) -> int:
        return len(self.numbers)

    def are_of(self, file_seqs: Collection[int]) -> NDArray[np.bool_]:
        """Return for each chunk whether it is of one of these files."""
        are_wanted: NDArray[np.bool_] = np.array([int(seq) in file_seqs for seq in self.files], bool)[self.file_at]
        return are_wanted

    def n_with(self, word: int) -> int:
        """Return how many chunks have a word."""
        found = self._find(word)
        return int(found.stop - found.start)

    def score_words(self, idfs: dict[int, float], mean_words: float) -> Floats:
        """Return the BM25 score of each chunk, for words with their inverse frequencies."""
        scores = np.zeros(len(self), np.float32)
        for word, idf in idfs.items():
            found = self._find(word)
            chunks = self._chunks[found]
            n = self._counts[found].astype(np.float32)
            norm = K1 * (1 - B + B * self.n_words[chunks] / max(mean_words, 1.0))
            scores[chunks] += np.float32(idf * (K1 + 1)) * n / (n + norm)
        return scores

    def _find(self, word: int) -> slice:
        at = int(np.searchsorted(self._words, word))
        if at == len(self._words) or self._words[at] != word:
            return slice(0, 0)
        return slice(int(self._starts[at]), int(self._starts[at + 1]))

    def _add_words(
        self, sizes: list[int], hashes: list[NDArray[np.uint32]], counts: list[NDArray[np.uint16]], folder: Path
    ) -> None:
        """Sort the words of all chunks by word."""
        all_hashes = np.concatenate(hashes) if hashes else np.zeros(0, np.uint32)
        all_counts = np.concatenate(counts) if counts else np.zeros(0, np.uint16)
        chunks = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)
        order = np.argsort(all_hashes, kind="stable")
        self._words, starts = np.unique(all_hashes[order], return_index=True)
        self._starts = np.append(starts, len(order))
        self._chunks = _stored(chunks[order], folder)
        self._counts = _stored(all_counts[order], folder)
        ends = np.cumsum(sizes) if sizes else np.zeros(0, np.int64)
        totals = np.append(0, np.cumsum(all_counts, dtype=np.int64))
        self.n_words = (totals[ends] - totals[ends - np.array(sizes, np.int64)]).astype(np.float32)


def _stored(values: NDArray[Any], folder: Path) -> NDArray[Any]:
    """Return an array as one that is mapped from a file without a name."""
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(values.tobytes())
        file.flush()
        return _mapped(file, values.dtype.str, values.shape)


def _mapped(file: Any, kind: str, shape: tuple[int, ...]) -> NDArray[Any]:
    return np.memmap(file, kind, "r", shape=shape) if np.prod(shape) else np.zeros(shape, kind)
