"""The bodies and query parameters of conversations. Knows nothing of the fields of items."""

from typing import Annotated

import msgspec

from homeport.api.compatibility import served
from homeport.api.paging import PageQuery

_METADATA = served("Up to 16 pairs; null: none.")


class ConversationBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The body that creates a conversation."""

    items: Annotated[list[msgspec.Raw] | None, served("Up to 20 items with which the conversation begins.")] = None
    metadata: Annotated[dict[str, str] | None, _METADATA] = None


class ConversationUpdateBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The body that replaces the metadata of a conversation."""

    metadata: Annotated[dict[str, str] | None, _METADATA]


class ItemsBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The body that adds items to a conversation."""

    items: Annotated[
        list[msgspec.Raw],
        served(
            "1 to 20, of the types of a response's input but `item_reference`. That calls and outputs belong together "
            "is checked by the responses that continue the conversation."
        ),
    ]


class IncludeQuery(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What to include in items: the URLs of images. Everything else is always returned, as it is stored."""

    include: tuple[str, ...] = ()


class ItemsQuery(PageQuery, forbid_unknown_fields=True, kw_only=True):
    """The query parameters of a list of items."""

    order: str = "desc"
    include: tuple[str, ...] = ()
