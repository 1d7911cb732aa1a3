"""Rows on vector stores in PostgreSQL: whole searches, SQL included, from the gateway's memory and with pgvector.

`bench.vector_search` measures them together with its own row. The server is that of the tests, on the same
machine, with its defaults.
"""

import itertools
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import sqlalchemy as sa

from bench.row import Row
from homeport.domain.vector_stores import COMPLETED, NewStoreFile, NewVectorStore, SearchQuery, VectorStore
from homeport.store import migration
from homeport.store.database import Database
from homeport.store.pgvector import VECTORS
from homeport.store.schema import VECTOR_STORE_FILES
from homeport.store.search_segments import ChunkRow
from homeport.store.vector_search import SqlVectorSearch
from homeport.store.vector_stores import SqlVectorStoreRepository
from tests import postgres_server

_PROJECT = "bench"
_COPY = "COPY vector_store_chunks (file_seq, number, text, words, vector) FROM STDIN"
_TEXT = "A text of the usual length. " * 60


class _Run(NamedTuple):
    """The time of the first search of a server's first gateway and of the next one, and of all others."""

    first_s: float
    again_s: float
    taken_ms: Sequence[float]

    def percentile(self, share: float) -> float:
        return self.taken_ms[round(share * len(self.taken_ms)) - 1]


def rows(n_chunks: int, chunks: Iterable[ChunkRow], queries: Sequence[SearchQuery], target_ms: float) -> list[Row]:
    """Measure searches one after the other."""
    with postgres_server.serve() as server, postgres_server.new_database(server) as url:
        database = Database(url)
        migration.upgrade(database)
        store_id = _fill(database, chunks)
        in_memory = _measure(database, store_id, queries, max_matrix_bytes=sys.maxsize)
        in_database = _measure(database, store_id, queries, max_matrix_bytes=0)
        _check_filled(database, n_chunks)
        database.close()
    name = f"search of PostgreSQL over {n_chunks:,} chunks, p95"
    return [
        Row(f"{name}: {which}", "–", "ms", run.percentile(0.95), None, target_ms, at_most=True, note=_note(run))
        for which, run in (("the gateway's memory", in_memory), ("pgvector", in_database))
    ]


def _note(run: _Run) -> str:
    return (
        f"p50 {run.percentile(0.5):.1f} ms; first search {run.first_s:.1f} s, of the next gateway {run.again_s:.1f} s"
    )


def _fill(database: Database, chunks: Iterable[ChunkRow]) -> str:
    """Store chunks as those of indexed files; return the id of the store."""
    new = NewVectorStore(project=_PROJECT, name="bench", model="bench", digest="bench")
    store = SqlVectorStoreRepository(database).create(new, [NewStoreFile(file_id="file-0", filename="a.txt")])
    files = VECTOR_STORE_FILES
    with database.write_transaction() as connection:
        file = dict(connection.execute(sa.select(files)).mappings().one())
        connection.execute(sa.delete(files))
        for seq, group in itertools.groupby(chunks, lambda row: row.file_seq):
            of_file = list(group)
            values = file | {"seq": file["seq"] + seq, "id": f"file-{seq}", "status": COMPLETED}
            values["n_chunks"] = len(of_file)
            connection.execute(sa.insert(files).values(**values))
            driver: Any = connection.connection.driver_connection
            with driver.cursor() as cursor, cursor.copy(_COPY) as copy:
                for row in of_file:
                    copy.write_row((values["seq"], row.number, _TEXT, row.words, row.vector))
    _vacuum(database)
    return store.id


def _check_filled(database: Database, n_chunks: int) -> None:
    with database.read_transaction() as connection:
        n_rows = connection.execute(sa.select(sa.func.count()).select_from(VECTORS)).scalar_one()
    if n_rows != n_chunks:
        raise SystemExit(f"pgvector had {n_rows} of {n_chunks} chunks")


def _vacuum(database: Database) -> None:
    """Do what a server does by itself within a minute."""
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM ANALYZE")


def _measure(database: Database, store_id: str, queries: Sequence[SearchQuery], *, max_matrix_bytes: int) -> _Run:
    store = SqlVectorStoreRepository(database).get(_PROJECT, store_id)
    firsts = []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(2):
            searcher = SqlVectorSearch(database, Path(folder), max_matrix_bytes)
            firsts.append(_time(searcher, store, queries[0]))
            _vacuum(database)
        taken = sorted(_time(searcher, store, query) * 1e3 for query in queries)
    return _Run(firsts[0], firsts[1], taken)


def _time(searcher: SqlVectorSearch, store: VectorStore, query: SearchQuery) -> float:
    began = time.perf_counter()
    searcher.search([store], query)
    return time.perf_counter() - began
