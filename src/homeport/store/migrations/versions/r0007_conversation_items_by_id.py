"""Adds the index by which an item is found in all conversations of a project."""

from alembic import op

revision = "r0007"
down_revision = "r0006"


def upgrade() -> None:
    """Create the index."""
    op.create_index("conversation_items_by_id", "conversation_items", ["project", "id"])
