"""Adds fine-tuning jobs, their events and their checkpoints."""

import sqlalchemy as sa
from alembic import op

revision = "r0005"
down_revision = "r0004"


def _number() -> sa.Column[int]:
    return sa.Column("seq", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True)


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "fine_tunes",
        _number(),
        sa.Column("id", sa.String(64), nullable=False, unique=True),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("server", sa.String(64), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("asked", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("training_file", sa.String(64), nullable=False),
        sa.Column("validation_file", sa.String(64)),
        sa.Column("hyperparameters", sa.Text, nullable=False),
        sa.Column("metadata", sa.Text),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.Column("finished_at", sa.BigInteger),
        sa.Column("estimated_finish", sa.BigInteger),
        sa.Column("step", sa.BigInteger, nullable=False),
        sa.Column("steps", sa.BigInteger),
        sa.Column("result_file", sa.String(64)),
        sa.Column("tokens", sa.BigInteger),
        sa.Column("error", sa.Text),
        sa.Column("seen_at", sa.BigInteger, nullable=False),
        sa.Column("is_tidy", sa.Boolean, nullable=False),
    )
    op.create_index("fine_tunes_project", "fine_tunes", ["project", "seq"])
    op.create_index("fine_tunes_status", "fine_tunes", ["status", "server"])
    op.create_table(
        "fine_tune_events",
        _number(),
        sa.Column("id", sa.String(64), nullable=False, unique=True),
        sa.Column("job", sa.String(64), sa.ForeignKey("fine_tunes.id"), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("level", sa.String(16), nullable=False),
        sa.Column("type", sa.String(16), nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("data", sa.Text),
    )
    op.create_index("fine_tune_events_job", "fine_tune_events", ["job", "seq"])
    op.create_table(
        "fine_tune_checkpoints",
        _number(),
        sa.Column("id", sa.String(64), nullable=False, unique=True),
        sa.Column("job", sa.String(64), sa.ForeignKey("fine_tunes.id"), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("step", sa.BigInteger, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("metrics", sa.Text, nullable=False),
    )
    op.create_index("fine_tune_checkpoints_job", "fine_tune_checkpoints", ["job", "step"])
