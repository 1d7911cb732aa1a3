"""Adds batches and the results of their lines, and to usage whether it was a batch's."""

import sqlalchemy as sa
from alembic import op

revision = "r0004"
down_revision = "r0003"

_TIMES = ("in_progress", "finalizing", "completed", "failed", "expired", "cancelling", "cancelled")


def upgrade() -> None:
    """Create the tables and the column."""
    op.add_column("usage", sa.Column("is_batch", sa.Boolean, nullable=False, server_default=sa.false()))
    op.create_table(
        "batches",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("id", sa.String(64), nullable=False, unique=True),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("endpoint", sa.String(64), nullable=False),
        sa.Column("input_file_id", sa.String(64), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("model", sa.Text),
        sa.Column("metadata", sa.Text, nullable=False),
        sa.Column("keep_s", sa.BigInteger),
        sa.Column("errors", sa.Text, nullable=False),
        sa.Column("output_file_id", sa.String(64)),
        sa.Column("error_file_id", sa.String(64)),
        *(sa.Column(f"{name}_at", sa.BigInteger) for name in _TIMES),
        sa.Column("total", sa.BigInteger, nullable=False),
        sa.Column("completed", sa.BigInteger, nullable=False),
        sa.Column("failed", sa.BigInteger, nullable=False),
        sa.Column("input_tokens", sa.BigInteger, nullable=False),
        sa.Column("cached_tokens", sa.BigInteger, nullable=False),
        sa.Column("output_tokens", sa.BigInteger, nullable=False),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("owned_until", sa.Double, nullable=False),
    )
    op.create_index("batches_project", "batches", ["project", "seq"])
    op.create_index("batches_status", "batches", ["status", "seq"])
    op.create_table(
        "batch_outcomes",
        sa.Column("batch_id", sa.String(64), sa.ForeignKey("batches.id"), primary_key=True),
        sa.Column("line", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("is_answer", sa.Boolean, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
    )
