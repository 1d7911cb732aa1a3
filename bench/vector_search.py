"""The row on vector stores: how long a search over 100,000 chunks takes, on one core, without the query's embedding.

`python -m bench.vector_search` measures it. The chunks are random: unit vectors of
384 dimensions, and words whose frequencies are those of natural text. A query has common and rare words.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench import log, machine, table
from bench.plan import Plan
from bench.row import Row
from homeport.domain.vector_stores import SearchQuery
from homeport.settings import load
from homeport.store import search_index, word_counts
from homeport.store.search_index import SearchIndex
from homeport.store.search_segments import ChunkRow

CHUNKS, CHUNKS_OF_FILE, DIMENSIONS = 100_000, 100, 384
_VOCABULARY, _WORDS_OF_CHUNK = 50_000, 130
_COMMON_WORDS, _RARE_WORDS = 5, 7
_TARGET_MS = 50.0


def rows(plan: Plan) -> list[Row]:
    """Measure searches one after the other."""
    n_chunks, n_queries = (CHUNKS // 10, 40) if plan.quick else (CHUNKS, 200)
    generator = np.random.default_rng(1)
    plan.say(f"an index of {n_chunks} chunks")
    with tempfile.TemporaryDirectory() as folder:
        index = SearchIndex(Path(folder))
        index.update(1, range(n_chunks // CHUNKS_OF_FILE), lambda _: _chunks(n_chunks, generator))
        taken = sorted(_measure(index, _query(generator)) for _ in range(n_queries))
    p95 = taken[round(0.95 * n_queries) - 1]
    note = f"p50 {taken[n_queries // 2]:.1f} ms"
    return [Row(f"search over {n_chunks:,} chunks, p95", "–", "ms", p95, None, _TARGET_MS, at_most=True, note=note)]


def _measure(index: SearchIndex, query: SearchQuery) -> float:
    began = time.perf_counter()
    search_index.search(index.segments, query, None)
    return (time.perf_counter() - began) * 1e3


def _word(rank: int) -> str:
    """Return a word by its rank; lower ranks are more frequent."""
    return f"word{rank}x"


def _chunks(n: int, generator: np.random.Generator) -> Iterator[ChunkRow]:
    hashes = np.array([next(iter(word_counts.hashes_of(_word(rank)))) for rank in range(_VOCABULARY)], "<u4")
    frequencies = 1 / np.arange(1, _VOCABULARY + 1)
    drawn = generator.choice(_VOCABULARY, (2_000, _WORDS_OF_CHUNK), p=frequencies / frequencies.sum())
    for at in range(n):
        words = np.unique(hashes[drawn[at % len(drawn)]])
        counts = np.ones(len(words), "<u2")
        packed = words.tobytes() + counts.tobytes()
        yield ChunkRow(at // CHUNKS_OF_FILE, at % CHUNKS_OF_FILE, _vector(generator).tobytes(), packed)


def _vector(generator: np.random.Generator) -> NDArray[np.float32]:
    made = generator.standard_normal(DIMENSIONS).astype("<f4")
    return np.asarray(made / np.linalg.norm(made), "<f4")


def _query(generator: np.random.Generator) -> SearchQuery:
    ranks: Sequence[int] = [
        *generator.integers(0, 20, _COMMON_WORDS).tolist(),
        *generator.integers(0, _VOCABULARY, _RARE_WORDS).tolist(),
    ]
    return SearchQuery(texts=(" ".join(map(_word, ranks)),), vectors=(_vector(generator).tobytes(),))


def main() -> None:
    """Measure the row and print it."""
    parser = argparse.ArgumentParser(prog="python -m bench.vector_search", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the chunks")
    parser.add_argument("--log", action="store_true", help="append the table to bench/LOG.md")
    arguments = parser.parse_args()
    threads = os.cpu_count() or 1
    plan = Plan("none", 1, threads, load().home, say=lambda _: None, quick=arguments.quick)
    heading = machine.heading("searches of vector stores", 1, "numpy", machine.rounds(1))
    lines = [f"### {heading}", "", *table.targets(rows(plan))]
    print("\n".join(lines), flush=True)
    if arguments.log:
        log.append(lines)


if __name__ == "__main__":
    main()
