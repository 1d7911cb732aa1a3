"""Adds usage: one row per request, and how far each file of the ledger has been imported."""

import sqlalchemy as sa
from alembic import op

revision = "r0002"
down_revision = "r0001"


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "journals",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("read_bytes", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "usage",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("request", sa.String(64), nullable=False),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("user", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("endpoint", sa.String(32), nullable=False),
        sa.Column("status", sa.String(64), nullable=False),
        sa.Column("prompt_tokens", sa.BigInteger, nullable=False),
        sa.Column("completion_tokens", sa.BigInteger, nullable=False),
        sa.Column("cached_tokens", sa.BigInteger, nullable=False),
        sa.Column("amount", sa.Double, nullable=False),
        sa.Column("first_ms", sa.Double),
        sa.Column("whole_ms", sa.Double, nullable=False),
    )
    op.create_index("usage_at", "usage", ["at"])
