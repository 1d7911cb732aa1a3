"""What a moderation engine is asked for. Values only; `api` builds them, a worker reads them.

Knows nothing of JSON, of model names or of which categories each of them has. Source of the categories: OpenAI's API
description, `CreateModerationResponse`, of today.
"""

from pathlib import Path

import msgspec

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
"""Every category, in the order of all numbers about them."""


class TextPart(msgspec.Struct, frozen=True, tag="text"):
    """Text to judge, of any length."""

    text: str


class ImagePart(msgspec.Struct, frozen=True, tag="image"):
    """A picture to judge: a file that stays until the request has ended. `param` names it in errors."""

    path: Path
    param: str = "input"


ModerationPart = TextPart | ImagePart


class ModerationRequest(msgspec.Struct, frozen=True, tag="moderation_request"):
    """One verdict for each of `inputs`; an input is one part or more, judged together."""

    inputs: tuple[tuple[ModerationPart, ...], ...]
