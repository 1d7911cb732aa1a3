"""The JSON of /v1/edits."""

from collections.abc import Sequence

import msgspec

from homeport.api.text_generation.choices import Choice
from homeport.api.text_generation.render import AnswerBody, UsageBody, render_usage
from homeport.api.writer import AnswerMetadata
from homeport.domain.events import Usage


class EditChoice(msgspec.Struct, frozen=True):
    """One edited text."""

    text: str
    index: int


class Edit(AnswerBody, frozen=True):
    """The body of an edit."""

    object: str
    created: int
    choices: list[EditChoice]
    usage: UsageBody


class EditRenderer:
    """Renders edits, which are never streamed."""

    def __init__(self, answer: AnswerMetadata) -> None:
        self._created = answer.created

    def answer(self, choices: Sequence[Choice], usage: Usage) -> Edit:
        """Make the whole answer."""
        edits = [EditChoice(choice.text, choice.index) for choice in choices]
        return Edit("edit", self._created, edits, render_usage(usage))
