"""Collects the summary that a model writes. Knows nothing of what becomes of it."""

from collections.abc import Mapping, Sequence

from homeport.api.text_generation.choices import ChoicesCollector
from homeport.api.text_generation.writers import changes_header
from homeport.api.writer import AnswerMetadata, CollectingWriter
from homeport.domain.events import Event


class SummaryWriter(CollectingWriter):
    """Collects a summary. Its body is empty: `text` is the summary."""

    def __init__(self) -> None:
        self._collector = ChoicesCollector()

    @property
    def text(self) -> str:
        """What was written so far."""
        return "".join(choice.text for choice in self._collector.choices)

    def on_admitted(self, answer: AnswerMetadata) -> Mapping[str, str]:
        """Return the header that lists the changes to the conversation."""
        return {**super().on_admitted(answer), **changes_header(answer)}

    def collect(self, events: Sequence[Event]) -> None:
        """Collect the summary."""
        self._collector.add(events)

    async def finish(self) -> bytes:
        """Return no bytes."""
        return b""
