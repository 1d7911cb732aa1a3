"""The current tables of vector stores, which `schema` lists with all others."""

import sqlalchemy as sa

from homeport.store.schema_metadata import METADATA, NUMBER

VECTOR_STORES = sa.Table(
    "vector_stores",
    METADATA,
    sa.Column("seq", NUMBER, primary_key=True),
    sa.Column("id", sa.String(64), nullable=False, unique=True),
    sa.Column("project", sa.String(64), nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("description", sa.Text),
    sa.Column("metadata", sa.Text, nullable=False),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("last_active_at", sa.BigInteger, nullable=False),
    sa.Column("expires_days", sa.BigInteger),
    sa.Column("is_expired", sa.Boolean, nullable=False),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Index("vector_stores_project", "project", "seq"),
)
"""`model`, `digest`: the model that makes the vectors. `revision` changes whenever what can be found does."""

VECTOR_STORE_BATCHES = sa.Table(
    "vector_store_batches",
    METADATA,
    sa.Column("seq", NUMBER, primary_key=True),
    sa.Column("id", sa.String(64), nullable=False, unique=True),
    sa.Column("store_id", sa.String(64), sa.ForeignKey("vector_stores.id"), nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("is_cancelled", sa.Boolean, nullable=False),
    sa.Index("vector_store_batches_store", "store_id"),
)

VECTOR_STORE_FILES = sa.Table(
    "vector_store_files",
    METADATA,
    sa.Column("seq", NUMBER, primary_key=True),
    sa.Column("id", sa.String(64), nullable=False),
    sa.Column("store_id", sa.String(64), sa.ForeignKey("vector_stores.id"), nullable=False),
    sa.Column("batch_id", sa.String(64)),
    sa.Column("project", sa.String(64), nullable=False),
    sa.Column("key", sa.String(64), nullable=False),
    sa.Column("filename", sa.Text, nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("attributes", sa.Text, nullable=False),
    sa.Column("chunking", sa.Text, nullable=False),
    sa.Column("window", sa.BigInteger),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("n_chunks", sa.BigInteger),
    sa.Column("error", sa.Text),
    sa.Column("owner", sa.String(64), nullable=False),
    sa.Column("owned_until", sa.Double, nullable=False),
    sa.UniqueConstraint("store_id", "id", name="vector_store_files_id"),
    sa.Index("vector_store_files_store", "store_id", "seq"),
    sa.Index("vector_store_files_file", "id"),
    sa.Index("vector_store_files_status", "status", "seq"),
    sa.Index("vector_store_files_project", "project", "bytes"),
    sqlite_autoincrement=True,
)
"""`id`: the file; `attributes`, `chunking` and `error` are JSON. `owner`: the server that indexes it, until
`owned_until`, which it renews. `seq` is never used again, because searches remember it."""

VECTOR_STORE_CHUNKS = sa.Table(
    "vector_store_chunks",
    METADATA,
    sa.Column("file_seq", NUMBER, sa.ForeignKey("vector_store_files.seq"), primary_key=True, autoincrement=False),
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("words", sa.LargeBinary, nullable=False),
    sa.Column("vector", sa.LargeBinary),
)
"""The chunks of files. `words`: how often each word occurs, as `word_counts` packs it; `vector`: 32-bit floats."""
