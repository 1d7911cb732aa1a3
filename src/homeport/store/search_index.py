"""The search index of one vector store, in memory: all its segments, kept up to date, and the two rankings.

Chunks are ranked by the cosine of their vectors and by BM25, and the rankings are combined by reciprocal rank fusion.
The index of a store whose vectors the database searches has only words. Knows nothing of SQL.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from homeport.domain.vector_stores import SearchQuery
from homeport.store.search_segments import ChunkRow, Floats, Segment
from homeport.store.word_counts import hashes_of

_RANK_OFFSET = 60
"""The usual constant of reciprocal rank fusion: how little the first places differ."""
_MIN_CANDIDATES = 100
_MERGE_FACTOR = 2
_NO_COSINE = -2.0

Load = Callable[[Sequence[int]], Iterable[ChunkRow]]
"""Reads the chunks of files, by the files' numbers."""


class Found(NamedTuple):
    """A chunk that was found, and its score."""

    file_seq: int
    number: int
    score: float


Nearest = Callable[[bytes, int], Sequence[Found]]
"""Returns the chunks with the largest cosines to a vector, at most this many, best first."""
_Key = tuple[int, int]
"""A chunk: its file and its number there."""


class SearchIndex:
    """The index of one store. `has_vectors`: not if the database searches them.

    `revision`: of the store, when the index was last updated.
    """

    def __init__(self, folder: Path, *, has_vectors: bool = True) -> None:
        self.has_vectors = has_vectors
        self.revision = -1
        self.has_removed = False
        self._folder = folder
        self._segments: list[Segment] = []

    def update(self, revision: int, file_seqs: Collection[int], load: Load) -> None:
        """Make the index one of these files. New ones become a segment, together with what small segments have.

        So an index has few segments, and each chunk is seldom read again. A segment keeps the chunks of removed files
        until they are the most of it; `has_removed` says that searches must leave some out.
        """
        wanted = set(file_seqs)
        to_load = wanted - {int(seq) for segment in self._segments for seq in segment.files}
        self.has_removed = False
        kept: list[Segment] = []
        n_loaded = len(to_load)
        for segment in sorted(self._segments, key=len):
            n_live = int(np.count_nonzero(segment.are_of(wanted)))
            if (to_load and n_live <= _MERGE_FACTOR * n_loaded) or n_live * 2 < len(segment):
                to_load |= wanted & {int(seq) for seq in segment.files}
                n_loaded += n_live
            else:
                kept.append(segment)
                self.has_removed = self.has_removed or n_live < len(segment)
        if to_load:
            kept.append(Segment(load(sorted(to_load)), self._folder))
        self._segments = [segment for segment in kept if len(segment)]
        self.revision = revision

    @property
    def segments(self) -> Sequence[Segment]:
        """The segments. Updates replace the sequence, so a search may use the old one to its end."""
        return self._segments


def search(
    segments: Sequence[Segment],
    query: SearchQuery,
    file_seqs: Collection[int] | None,
    nearest: Nearest | None = None,
) -> list[Found]:
    """Return the best chunks of segments, best first. `file_seqs`: only chunks of these files; None: of all.

    A chunk's score for several queries is the mean of its scores, or its best cosine. `nearest`: what ranks the chunks
    of those segments that have no vectors.
    """
    size = len(query.vectors[0]) // 4 if query.vectors else 0
    segments = [segment for segment in segments if segment.dimensions == size]
    if not segments:
        return []
    chunks = _Chunks(segments, file_seqs)
    rankings = [
        _rank(chunks, nearest, text, vector, query) for text, vector in zip(query.texts, query.vectors, strict=True)
    ]
    best = _combine(rankings, is_mean=bool(query.word_weight))
    chosen = sorted((key for key in best if best[key] >= query.threshold), key=lambda key: (-best[key], key))
    return [Found(*key, best[key]) for key in chosen[: query.limit]]


class _Chunks:
    """The chunks of all segments of a search. `file_seqs`: only those of these files are ranked."""

    def __init__(self, segments: Sequence[Segment], file_seqs: Collection[int] | None) -> None:
        self._segments = segments
        self._is_wanted = (
            None if file_seqs is None else np.concatenate([segment.are_of(file_seqs) for segment in segments])
        )
        self._starts = np.cumsum([0, *map(len, segments)])

    def nearest(self, vector: bytes, n: int) -> Sequence[Found]:
        """Rank by cosine the chunks whose vectors are here."""
        asked = np.frombuffer(vector, "<f4")
        cosines = [
            segment.vectors @ asked if segment.has_vectors else np.full(len(segment), _NO_COSINE, np.float32)
            for segment in self._segments
        ]
        return self._best(np.concatenate(cosines), n, _NO_COSINE)

    def with_words(self, text: str, n: int) -> Sequence[Found]:
        """Rank by BM25."""
        return self._best(_word_scores(self._segments, text), n, 0)

    def _best(self, scores: Floats, n: int, worst: float) -> Sequence[Found]:
        """Return the chunks with the largest scores above `worst`."""
        if self._is_wanted is not None:
            scores[~self._is_wanted] = worst
        return [Found(*self._key(at), float(scores[at])) for at in _largest(scores, n).tolist() if scores[at] > worst]

    def _key(self, at: int) -> _Key:
        which = int(np.searchsorted(self._starts, at, "right")) - 1
        segment, place = self._segments[which], at - int(self._starts[which])
        return int(segment.files[segment.file_at[place]]), int(segment.numbers[place])


def _combine(rankings: Sequence[dict[_Key, float]], *, is_mean: bool) -> dict[_Key, float]:
    """Return the scores of chunks for all queries. A chunk that a ranking lacks has the score 0 there."""
    combined: dict[_Key, float] = {}
    for ranking in rankings:
        for key, score in ranking.items():
            known = combined.get(key, 0.0)
            combined[key] = known + score / len(rankings) if is_mean else max(known, score)
    return combined


def _rank(chunks: _Chunks, nearest: Nearest | None, text: str, vector: bytes, query: SearchQuery) -> dict[_Key, float]:
    """Return the scores of the best chunks for one query."""
    n_best = max(_MIN_CANDIDATES, 4 * query.limit)
    by_vector = chunks.nearest(vector, n_best)
    if nearest is not None:
        by_vector = sorted([*by_vector, *nearest(vector, n_best)], key=lambda found: -found.score)[:n_best]
    if not query.word_weight:
        return {(seq, number): min(1.0, max(0.0, cosine)) for seq, number, cosine in by_vector}
    by_words = chunks.with_words(text, n_best)
    scores: dict[_Key, float] = {}
    most = (query.vector_weight + query.word_weight) / (_RANK_OFFSET + 1)
    for weight, ranking in ((query.vector_weight, by_vector), (query.word_weight, by_words)):
        for place, (seq, number, _) in enumerate(ranking, 1):
            scores[seq, number] = scores.get((seq, number), 0.0) + weight / (_RANK_OFFSET + place) / most
    return scores


def _word_scores(segments: Sequence[Segment], text: str) -> Floats:
    n_chunks = sum(map(len, segments))
    mean_words = float(sum(segment.n_words.sum() for segment in segments)) / n_chunks
    idfs = {}
    for word in hashes_of(text):
        n_with = sum(segment.n_with(word) for segment in segments)
        if n_with:
            idfs[word] = float(np.log1p((n_chunks - n_with + 0.5) / (n_with + 0.5)))
    return np.concatenate([segment.score_words(idfs, mean_words) for segment in segments])


def _largest(scores: Floats, n: int) -> NDArray[np.intp]:
    """Return the positions of the `n` largest scores, largest first; of equal ones, the first."""
    chosen = np.sort(np.argpartition(-scores, n - 1)[:n]) if len(scores) > n else np.arange(len(scores))
    order: NDArray[np.intp] = chosen[np.argsort(-scores[chosen], kind="stable")]
    return order
