"""The body of a moderations request."""

from typing import Annotated

import msgspec

from homeport.api.compatibility import served

DEFAULT_MODEL = "omni-moderation-latest"
"""The model of a request that names none, as OpenAI documents it today; in 2023 it was text-moderation-latest."""


class TextItem(msgspec.Struct, forbid_unknown_fields=True, tag_field="type", tag="text"):
    """A text part."""

    text: str


class ImageUrl(msgspec.Struct, forbid_unknown_fields=True):
    """An image."""

    url: str


class ImageItem(msgspec.Struct, forbid_unknown_fields=True, tag_field="type", tag="image_url"):
    """A part that is an image."""

    image_url: ImageUrl


ModerationItem = str | TextItem | ImageItem


class ModerationBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The body. Each text of a list has its own verdict; a list of parts has one verdict."""

    input: Annotated[
        str | list[ModerationItem],
        served(
            "A string, up to 1024 strings, or text and image_url parts that are classified together."
            " A data: URL, or one of a host that the operator allows."
        ),
    ]
    model: Annotated[
        str | None,
        served(
            "Sets the categories: 7 for text-moderation-001 to -004, 11 for other text-moderation names, "
            "else all 13. Default omni-moderation-latest."
        ),
    ] = None
