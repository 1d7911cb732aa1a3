"""The request to a moderation engine. Values only: `api` builds them, a worker reads them.

Knows nothing of JSON, of model names or of which categories each model has. Source of the categories: OpenAI's current
API description, `CreateModerationResponse`.
"""

import msgspec

from homeport.domain.content import Attachment

CATEGORIES = (
    "harassment",
    "harassment/threatening",
    "sexual",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm/intent",
    "self-harm/instructions",
    "self-harm",
    "sexual/minors",
    "violence",
    "violence/graphic",
)
"""Every category, in the order of all scores."""


class TextPart(msgspec.Struct, frozen=True, tag="text"):
    """Text of any length."""

    text: str


class ImagePart(msgspec.Struct, frozen=True, tag="image"):
    """An image: a file that exists until the request ends. `param` names it in errors."""

    image: Attachment
    param: str = "input"


ModerationPart = TextPart | ImagePart


class ModerationRequest(msgspec.Struct, frozen=True, tag="moderation_request"):
    """Asks for one verdict per element of `inputs`; an input has one or more parts, classified together."""

    inputs: tuple[tuple[ModerationPart, ...], ...]
