"""Adds responses and their events, conversations and their items, and stored chat completions."""

import sqlalchemy as sa
from alembic import op

revision = "r0006"
down_revision = "r0005"


def _number() -> sa.Column[int]:
    return sa.Column("seq", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True)


def upgrade() -> None:
    """Create the tables."""
    _create_responses()
    _create_conversations()
    _create_completions()


def _create_responses() -> None:
    op.create_table(
        "responses",
        _number(),
        sa.Column("id", sa.String(64), nullable=False, unique=True),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger),
        sa.Column("previous_id", sa.String(64)),
        sa.Column("conversation_id", sa.String(64)),
        sa.Column("is_background", sa.Boolean, nullable=False),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("input", sa.Text, nullable=False),
        sa.Column("output", sa.Text, nullable=False),
        sa.Column("request", sa.Text, nullable=False),
    )
    op.create_index("responses_project", "responses", ["project", "bytes"])
    op.create_index("responses_previous", "responses", ["previous_id"])
    op.create_index("responses_expiry", "responses", ["expires_at"])
    op.create_table(
        "response_runs",
        _number(),
        sa.Column("response_id", sa.String(64), sa.ForeignKey("responses.id"), nullable=False, unique=True),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("owned_until", sa.Double, nullable=False),
        sa.Column("is_cancelling", sa.Boolean, nullable=False),
    )
    op.create_table(
        "response_events",
        sa.Column("response_id", sa.String(64), sa.ForeignKey("responses.id"), primary_key=True),
        sa.Column("first", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("last", sa.BigInteger, nullable=False),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("events", sa.Text, nullable=False),
    )
    op.create_index("response_events_project", "response_events", ["project", "bytes"])


def _create_conversations() -> None:
    op.create_table(
        "conversations",
        _number(),
        sa.Column("id", sa.String(64), nullable=False, unique=True),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("metadata", sa.Text, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("locked_by", sa.String(64), nullable=False),
        sa.Column("locked_until", sa.Double, nullable=False),
    )
    op.create_index("conversations_project", "conversations", ["project", "bytes"])
    op.create_table(
        "conversation_items",
        _number(),
        sa.Column("conversation_id", sa.String(64), sa.ForeignKey("conversations.id"), nullable=False),
        sa.Column("id", sa.String(256), nullable=False),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.UniqueConstraint("conversation_id", "id", name="conversation_items_id"),
    )
    op.create_index("conversation_items_order", "conversation_items", ["conversation_id", "seq"])
    op.create_index("conversation_items_project", "conversation_items", ["project", "bytes"])


def _create_completions() -> None:
    op.create_table(
        "stored_completions",
        _number(),
        sa.Column("id", sa.String(64), nullable=False, unique=True),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("metadata", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("messages", sa.Text, nullable=False),
    )
    op.create_index("stored_completions_order", "stored_completions", ["project", "seq"])
    op.create_index("stored_completions_project", "stored_completions", ["project", "bytes"])
    op.create_index("stored_completions_expiry", "stored_completions", ["expires_at"])
