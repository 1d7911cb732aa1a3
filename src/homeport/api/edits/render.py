"""The JSON of /v1/edits."""

import msgspec

from homeport.api.text_generation.choices import (
    AnswerBody,
    AnswerMetadata,
    ChoicesCollector,
    UsageBody,
    render_usage,
)
from homeport.domain.events import Admitted, Usage


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
    """Writes edits, which are never streamed."""

    def __init__(self, head: AnswerMetadata, _: Admitted) -> None:
        self._created = head.created

    def answer(self, collected: ChoicesCollector, usage: Usage) -> Edit:
        """Make the whole answer."""
        choices = [EditChoice(choice.text, choice.index) for choice in collected.choices]
        return Edit("edit", self._created, choices, render_usage(usage))
