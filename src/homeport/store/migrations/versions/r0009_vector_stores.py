"""Adds vector stores, their files, batches of files, and chunks."""

import sqlalchemy as sa
from alembic import op

revision = "r0009"
down_revision = "r0008"


def _number(name: str = "seq") -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True)


def upgrade() -> None:
    """Create the tables."""
    _create_stores()
    _create_files()
    op.create_table(
        "vector_store_chunks",
        sa.Column(
            "file_seq",
            sa.BigInteger().with_variant(sa.Integer, "sqlite"),
            sa.ForeignKey("vector_store_files.seq"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("words", sa.LargeBinary, nullable=False),
        sa.Column("vector", sa.LargeBinary),
    )


def _create_stores() -> None:
    op.create_table(
        "vector_stores",
        _number(),
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
    )
    op.create_index("vector_stores_project", "vector_stores", ["project", "seq"])
    op.create_table(
        "vector_store_batches",
        _number(),
        sa.Column("id", sa.String(64), nullable=False, unique=True),
        sa.Column("store_id", sa.String(64), sa.ForeignKey("vector_stores.id"), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("is_cancelled", sa.Boolean, nullable=False),
    )
    op.create_index("vector_store_batches_store", "vector_store_batches", ["store_id"])


def _create_files() -> None:
    op.create_table(
        "vector_store_files",
        _number(),
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
        sqlite_autoincrement=True,
    )
    op.create_index("vector_store_files_store", "vector_store_files", ["store_id", "seq"])
    op.create_index("vector_store_files_file", "vector_store_files", ["id"])
    op.create_index("vector_store_files_status", "vector_store_files", ["status", "seq"])
    op.create_index("vector_store_files_project", "vector_store_files", ["project", "bytes"])
