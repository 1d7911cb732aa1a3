"""The request to a moderation engine. Values only: `api` builds them, a worker reads them.

Knows nothing of JSON, of model names or of which categories each model has. Source of the categories: OpenAI's current
API description, `CreateModerationResponse`.
"""

import msgspec

from homeport.domain.content import ImagePart, TextPart

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


ModerationPart = TextPart | ImagePart


class ModerationRequest(msgspec.Struct, frozen=True, tag="moderation_request"):
    """Asks for one verdict per element of `inputs`; an input has one or more parts, classified together."""

    inputs: tuple[tuple[ModerationPart, ...], ...]
