"""The shape of a moderations answer: the categories that the name asked for has, and no other. Knows no requests.

Source of the sets: OpenAI's API descriptions of 2023 (seven) and of today (thirteen, and in its example of
text-moderation-007 eleven).
"""

import re
import uuid
from collections.abc import Sequence

import msgspec

from homeport.api import accounting
from homeport.domain.events import Done, Event, ModerationVerdict
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
"""The categories of 2023's first models."""

_LATER = ("illicit", "illicit/violent")
TEXT_CATEGORIES = tuple(category for category in CATEGORIES if category not in _LATER)
"""Those of text-moderation-005 to -007, and of the names without a number, which stand for the last of them."""

_OLD = re.compile(r"text-moderation-00[1-4]")
_TEXT_ONLY = "text-moderation-"


class ModerationResultBody(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What was found in one input. Without `category_applied_input_types` for names that read text alone."""

    flagged: bool
    categories: dict[str, bool]
    category_scores: dict[str, float]
    category_applied_input_types: dict[str, tuple[str, ...]] | None = None


class Moderation(msgspec.Struct, kw_only=True):
    """The whole answer. `model`: the name that was asked for."""

    id: str
    model: str
    results: list[ModerationResultBody]


def is_text_only(name: str) -> bool:
    """Whether a name is one of OpenAI's models that read no images."""
    return name.startswith(_TEXT_ONLY)


def categories(name: str) -> tuple[str, ...]:
    """The categories that a name has, in OpenAI's order."""
    if _OLD.fullmatch(name):
        return ORIGINAL_CATEGORIES
    return TEXT_CATEGORIES if is_text_only(name) else CATEGORIES


def render_moderation(name: str, verdicts: Sequence[ModerationVerdict]) -> Moderation:
    """The answer to a request under this name, inputs in their order."""
    found = sorted(verdicts, key=lambda each: each.index)
    return Moderation(id=f"modr-{uuid.uuid4().hex}", model=name, results=[_result(name, each) for each in found])


def _result(name: str, verdict: ModerationVerdict) -> ModerationResultBody:
    known = {each.category: each for each in verdict.scores}
    shown = [known[category] for category in categories(name)]
    return ModerationResultBody(
        flagged=any(each.is_flagged for each in shown),
        categories={each.category: each.is_flagged for each in shown},
        category_scores={each.category: each.score for each in shown},
        category_applied_input_types=None if is_text_only(name) else {each.category: each.inputs for each in shown},
    )


class ModerationUsageCounter(accounting.UsageCounter):
    """Counts an answer as one choice that came to its end."""

    def count(self, events: Sequence[Event]) -> None:
        """Look through what has just arrived."""
        super().count(events)
        if any(isinstance(event, Done) for event in events):
            self.meter.on_finished("stop")
