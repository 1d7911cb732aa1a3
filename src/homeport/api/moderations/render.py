"""The JSON of moderations: the categories of the model's name, and no others. Knows nothing of requests.

Source of the sets: OpenAI's API descriptions of 2023 (seven) and of today (thirteen, and in its example of
text-moderation-007 eleven).
"""

import re
import uuid
from collections.abc import Sequence

import msgspec

from homeport.api import json_codec
from homeport.api.writer import CollectingWriter
from homeport.domain.events import Event, ModerationVerdict
from homeport.domain.moderation import CATEGORIES

ORIGINAL_CATEGORIES = (
    "hate",
    "hate/threatening",
    "self-harm",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
)
"""The categories of the first models of 2023."""

_NEW_CATEGORIES = ("illicit", "illicit/violent")
TEXT_CATEGORIES = tuple(category for category in CATEGORIES if category not in _NEW_CATEGORIES)
"""The categories of text-moderation-005 to -007, and of the names without a number, which stand for -007."""

_OLD = re.compile(r"text-moderation-00[1-4]")
_TEXT_ONLY = "text-moderation-"


class ModerationResultBody(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The verdict on one input. Models that read only text have no `category_applied_input_types`."""

    flagged: bool
    categories: dict[str, bool]
    category_scores: dict[str, float]
    category_applied_input_types: dict[str, tuple[str, ...]] | None = None


class Moderation(msgspec.Struct, kw_only=True):
    """The response body. `model`: the name that the caller asked for."""

    id: str
    model: str
    results: list[ModerationResultBody]


def is_text_only(name: str) -> bool:
    """Return whether a name is one of OpenAI's models that read no images."""
    return name.startswith(_TEXT_ONLY)


def categories(name: str) -> tuple[str, ...]:
    """Return the categories of a model's name, in OpenAI's order."""
    if _OLD.fullmatch(name):
        return ORIGINAL_CATEGORIES
    return TEXT_CATEGORIES if is_text_only(name) else CATEGORIES


class ModerationWriter(CollectingWriter):
    """Collects the verdicts."""

    def __init__(self) -> None:
        self._verdicts: list[ModerationVerdict] = []

    def collect(self, events: Sequence[Event]) -> None:
        """Collect the verdicts of a batch of events."""
        self._verdicts += [event for event in events if isinstance(event, ModerationVerdict)]

    async def finish(self) -> bytes:
        """Return the answer, with the verdicts in the order of their inputs."""
        return json_codec.encode(render_moderation(self.answer.model, self._verdicts))


def render_moderation(name: str, verdicts: Sequence[ModerationVerdict]) -> Moderation:
    """Render the answer to a request for the model `name`, with the verdicts in the order of their inputs."""
    results = [_render_result(name, each) for each in sorted(verdicts, key=lambda each: each.index)]
    return Moderation(id=f"modr-{uuid.uuid4().hex}", model=name, results=results)


def _render_result(name: str, verdict: ModerationVerdict) -> ModerationResultBody:
    scores = {each.category: each for each in verdict.scores}
    reported = [scores[category] for category in categories(name)]
    return ModerationResultBody(
        flagged=any(each.is_flagged for each in reported),
        categories={each.category: each.is_flagged for each in reported},
        category_scores={each.category: each.score for each in reported},
        category_applied_input_types=None if is_text_only(name) else {each.category: each.inputs for each in reported},
    )
