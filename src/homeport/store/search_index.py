"""The search index of one vector store, in memory: all its segments, kept up to date, and the two rankings.

Chunks are ranked by the cosine of their vectors and by BM25, and the rankings are combined by reciprocal rank fusion.
Knows nothing of SQL.
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

Load = Callable[[Sequence[int]], Iterable[ChunkRow]]
"""Reads the chunks of files, by the files' numbers."""


class Found(NamedTuple):
    """A chunk that was found, and its score."""

    file_seq: int
    number: int
    score: float


class SearchIndex:
    """The index of one store. `revision`: of the store, when the index was last updated."""

    def __init__(self, folder: Path) -> None:
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


def search(segments: Sequence[Segment], query: SearchQuery, file_seqs: Collection[int] | None) -> list[Found]:
    """Return the best chunks of segments, best first. `file_seqs`: only chunks of these files; None: of all.

    A chunk's score for several queries is the mean of its scores, or its best cosine.
    """
    size = len(query.vectors[0]) // 4 if query.vectors else 0
    segments = [segment for segment in segments if segment.dimensions == size]
    if not segments:
        return []
    is_wanted = None if file_seqs is None else np.concatenate([segment.are_of(file_seqs) for segment in segments])
    rankings = [
        _rank(segments, text, vector, query, is_wanted) for text, vector in zip(query.texts, query.vectors, strict=True)
    ]
    best = _combine(rankings, is_mean=bool(query.word_weight))
    seqs = np.concatenate([segment.files[segment.file_at] for segment in segments])
    numbers = np.concatenate([segment.numbers for segment in segments])
    chosen = sorted((at for at in best if best[at] >= query.threshold), key=lambda at: (-best[at], at))[: query.limit]
    return [Found(int(seqs[at]), int(numbers[at]), best[at]) for at in chosen]


def _combine(rankings: Sequence[dict[int, float]], *, is_mean: bool) -> dict[int, float]:
    """Return the scores of chunks for all queries. A chunk that a ranking lacks has the score 0 there."""
    combined: dict[int, float] = {}
    for ranking in rankings:
        for at, score in ranking.items():
            known = combined.get(at, 0.0)
            combined[at] = known + score / len(rankings) if is_mean else max(known, score)
    return combined


def _rank(
    segments: Sequence[Segment], text: str, vector: bytes, query: SearchQuery, is_wanted: NDArray[np.bool_] | None
) -> dict[int, float]:
    """Return the scores of the best chunks for one query, by their positions in all segments."""
    n_best = max(_MIN_CANDIDATES, 4 * query.limit)
    asked = np.frombuffer(vector, "<f4")
    cosines = np.concatenate([segment.vectors @ asked for segment in segments])
    if is_wanted is not None:
        cosines[~is_wanted] = -2
    by_vector = [int(at) for at in _largest(cosines, n_best) if cosines[at] > -2]
    if not query.word_weight:
        return {at: min(1.0, max(0.0, float(cosines[at]))) for at in by_vector}
    words = _word_scores(segments, text)
    if is_wanted is not None:
        words[~is_wanted] = 0
    by_words = [int(at) for at in _largest(words, n_best) if words[at] > 0]
    scores: dict[int, float] = {}
    most = (query.vector_weight + query.word_weight) / (_RANK_OFFSET + 1)
    for weight, ranking in ((query.vector_weight, by_vector), (query.word_weight, by_words)):
        for place, at in enumerate(ranking, 1):
            scores[at] = scores.get(at, 0.0) + weight / (_RANK_OFFSET + place) / most
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
