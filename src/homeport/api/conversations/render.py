"""The JSON of conversations and of their items. Knows nothing of requests."""

import msgspec

from homeport.domain.responses import Conversation, Item


class ConversationObject(msgspec.Struct, kw_only=True):
    """A conversation."""

    id: str
    object: str = "conversation"
    created_at: int
    metadata: dict[str, str]


def render_conversation(conversation: Conversation) -> ConversationObject:
    """Render a conversation."""
    return ConversationObject(id=conversation.id, created_at=conversation.created_at, metadata=conversation.metadata)


def render_item(item: Item) -> msgspec.Raw:
    """Render an item, whose JSON is stored as the API returns it."""
    return msgspec.Raw(item.body.encode())
