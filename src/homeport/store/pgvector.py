"""The vectors of chunks in a table of PostgreSQL's extension pgvector, which finds those nearest to a query.

The table is derived: its rows are made from the chunks of indexed files when they are first searched, and deleted with
the files. So it may be added to a database at any time. It has half-precision numbers, which are read in less time than
the full ones; the nearest by them are compared again by the vectors of the chunks, so that results are exact.
Synchronous.
"""

import logging
import struct
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from homeport.domain.errors import Unavailable
from homeport.store.database import Database
from homeport.store.schema import VECTOR_STORE_CHUNKS, VECTOR_STORE_FILES

if TYPE_CHECKING:
    from homeport.store.search_index import Found
    from homeport.store.search_segments import Floats

_ROWS_AT_ONCE = 1000
_MAX_HALF = 65_504.0
_MAX_ERROR = 2.0**-10 + 2.0**-13
"""How far the product of two vectors of length 1 may be off if both are rounded to 11 bits, and its sum to 24."""
_FETCH_FACTOR, _GROWTH = 2, 4


class _HalfVector(sa.types.UserDefinedType[str]):
    """pgvector's type of half-precision vectors of any size, as text."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        """Return the type's name."""
        return "halfvec"


VECTORS = sa.Table(
    "vector_store_vectors",
    sa.MetaData(),  # not with the other tables: few databases have it
    sa.Column("store_seq", sa.BigInteger, nullable=False),
    sa.Column(
        "file_seq",
        sa.BigInteger,
        sa.ForeignKey(VECTOR_STORE_FILES.c.seq, ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("dimensions", sa.Integer, nullable=False),
    sa.Column("vector", _HalfVector, nullable=False),
    sa.Index("vector_store_vectors_store", "store_seq", "dimensions"),
)
_COPY = "COPY vector_store_vectors (store_seq, file_seq, number, dimensions, vector) FROM STDIN (FORMAT BINARY)"
_COPY_TYPES = ("int8", "int8", "int4", "int4", "bytea")  # a vector is given as the bytes that pgvector reads
_NUMBERS = sa.ARRAY(sa.BigInteger)
# Vectors of up to 4000 dimensions stay in their rows: elsewhere they would be read in pieces.
_KEEP_IN_ROWS = sa.text("ALTER TABLE vector_store_vectors SET (toast_tuple_target = 8160)")
_VERSION = sa.text("SELECT default_version FROM pg_available_extensions WHERE name = 'vector'")

_log = logging.getLogger("homeport.store")


def install(database: Database) -> bool:
    """Add the table to a PostgreSQL database that has the extension, or may create it; return whether it has it."""
    if database.is_sqlite or not _is_available(database):
        return False
    try:
        with database.write_transaction() as connection:
            connection.execute(sa.text("CREATE EXTENSION IF NOT EXISTS vector"))
            if connection.execute(sa.text("SELECT to_regtype('halfvec')")).scalar() is None:
                _log.warning("pgvector is not used: it is older than 0.7")
                return False
            VECTORS.create(connection, checkfirst=True)
            connection.execute(_KEEP_IN_ROWS)
    except Unavailable as error:
        _log.warning("pgvector is not used: %s", error)
        return False
    return True


def _is_available(database: Database) -> bool:
    """Return whether the server has the extension."""
    with database.read_transaction() as connection:
        return connection.execute(_VERSION).first() is not None


class PgvectorTable:
    """The table of a database, if it has one. Whether it does is looked up once in a process."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._exists: bool | None = False if database.is_sqlite else None

    def exists(self) -> bool:
        """Return whether the database has the table. Logs what an operator could do if not."""
        if self._exists is None:
            with self._database.read_transaction() as connection:
                self._exists = sa.inspect(connection).has_table(VECTORS.name)
            if not self._exists and _is_available(self._database):
                _log.info("PostgreSQL has pgvector: `homeport db upgrade` and a restart make searches use it")
        return self._exists

    def add_missing(self, store_seq: int, file_seqs: Collection[int]) -> None:
        """Add the vectors of those files of a store whose vectors the table lacks."""
        with self._database.read_transaction() as connection:
            missing = _files_without_vectors(connection, file_seqs)
        for seq in missing:
            self._add(store_seq, seq, waits_for_disk=seq == missing[-1])  # which writes the others, too

    def _add(self, store_seq: int, file_seq: int, *, waits_for_disk: bool) -> None:
        """Add the vectors of one file, unless another process does or the file is gone.

        One file in each transaction, so that it never holds a lock while it waits for another.
        """
        files, chunks = VECTOR_STORE_FILES, VECTOR_STORE_CHUNKS
        lock = sa.select(files.c.seq).where(files.c.seq == file_seq).with_for_update(key_share=True)
        query = sa.select(chunks.c.number, chunks.c.vector).order_by(chunks.c.number).limit(_ROWS_AT_ONCE)
        query = query.where(chunks.c.file_seq == file_seq, chunks.c.vector.is_not(None))
        with self._database.write_transaction() as connection:
            if not waits_for_disk:
                connection.execute(sa.text("SET LOCAL synchronous_commit TO OFF"))
            if connection.execute(lock).first() is None or not _files_without_vectors(connection, [file_seq]):
                return
            after = -1
            while rows := connection.execute(query.where(chunks.c.number > after)).all():
                after = rows[-1].number
                _insert(connection, store_seq, file_seq, ((number, vector) for number, vector in rows))

    def nearest(
        self, store_seqs: Sequence[int], file_seqs: Collection[int] | None, vector: bytes, n: int
    ) -> "Sequence[Found]":
        """Return the `n` chunks of stores with the largest cosines, best first. `file_seqs`: only of these files."""
        asked = _numbers_of(vector)
        limit = n * _FETCH_FACTOR
        while asked is not None:
            query = _nearest_rows(store_seqs, file_seqs, asked, limit)
            with self._database.read_transaction() as connection:
                rows = connection.execute(query).all()
            found = _by_cosine(rows, asked)
            # A chunk that was not fetched has at most the last one's product, by half precision, and the error.
            if len(rows) < limit or (len(found) >= n and found[n - 1].score >= _MAX_ERROR - rows[-1].product):
                return found[:n]
            limit *= _GROWTH
        return []


def _files_without_vectors(connection: sa.Connection, file_seqs: Collection[int]) -> Sequence[int]:
    given = sa.func.unnest(sa.cast(list(file_seqs), _NUMBERS)).column_valued("seq")
    has_vectors = sa.exists().where(VECTORS.c.file_seq == given)
    return connection.execute(sa.select(given).where(~has_vectors).order_by(given)).scalars().all()


def _insert(connection: sa.Connection, store_seq: int, file_seq: int, chunks: Iterable[tuple[int, bytes]]) -> None:
    """Insert the vectors of a file's chunks, except damaged ones."""
    driver: Any = connection.connection.driver_connection
    with driver.cursor() as cursor, cursor.copy(_COPY) as copy:
        copy.set_types(_COPY_TYPES)
        for number, vector in chunks:
            if (numbers := _numbers_of(vector)) is not None:
                packed = struct.pack(">hh", len(numbers), 0) + numbers.astype(">f2").tobytes()
                copy.write_row((store_seq, file_seq, number, len(numbers), packed))


def _nearest_rows(
    store_seqs: Sequence[int], file_seqs: Collection[int] | None, asked: "Floats", limit: int
) -> sa.Select[Any]:
    """Return the query for the largest products by half precision, and the chunks' vectors."""
    chunks = VECTOR_STORE_CHUNKS
    product: sa.ColumnElement[float] = VECTORS.c.vector.op("<#>", return_type=sa.Double())(
        sa.cast(str(asked.tolist()), _HalfVector)
    )
    near = sa.select(VECTORS.c.file_seq, VECTORS.c.number, product.label("product"))
    near = near.where(VECTORS.c.store_seq == sa.any_(sa.cast(list(store_seqs), _NUMBERS)))
    near = near.where(VECTORS.c.dimensions == len(asked))
    if file_seqs is not None:
        near = near.where(VECTORS.c.file_seq == sa.any_(sa.cast(list(file_seqs), _NUMBERS)))
    nearest = near.order_by("product").limit(limit).subquery()
    is_same = sa.and_(chunks.c.file_seq == nearest.c.file_seq, chunks.c.number == nearest.c.number)
    return sa.select(nearest, chunks.c.vector).join(chunks, is_same, isouter=True).order_by(nearest.c.product)


def _by_cosine(rows: Sequence[Any], asked: "Floats") -> "Sequence[Found]":
    """Return the chunks of rows by the exact products, best first. Those that were removed meanwhile are left out."""
    import numpy as np

    from homeport.store.search_index import Found

    kept = [row for row in rows if row.vector is not None]
    matrix = np.frombuffer(b"".join(row.vector for row in kept), "<f4").reshape(len(kept), len(asked))
    cosines: list[float] = (matrix @ asked).tolist()
    found = [Found(row.file_seq, row.number, cosine) for row, cosine in zip(kept, cosines, strict=True)]
    return sorted(found, key=lambda each: (-each.score, each.file_seq, each.number))


def _numbers_of(vector: bytes) -> "Floats | None":
    """Return the numbers of a vector; None for a damaged one, or one that has no half precision."""
    import numpy as np

    if not vector or len(vector) % 4:
        return None
    numbers = np.frombuffer(vector, "<f4")
    return numbers if np.all(np.abs(numbers) <= _MAX_HALF) else None
