"""Adds what several gateways share: who runs, the limits of keys, who does periodic work."""

import sqlalchemy as sa
from alembic import op

revision = "r0010"
down_revision = "r0009"


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "gateways",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("version", sa.String(64), nullable=False),
        sa.Column("keys", sa.String(64), nullable=False),
        sa.Column("blobs", sa.String(64), nullable=False),
        sa.Column("started_at", sa.BigInteger, nullable=False),
        sa.Column("alive_until", sa.Double, nullable=False),
    )
    op.create_table(
        "limit_accounts",
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("state", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "leases",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("owned_until", sa.Double, nullable=False),
    )
