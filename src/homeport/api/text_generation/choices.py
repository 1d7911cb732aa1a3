"""The choices of a text answer, collected from their events. Knows nothing of JSON."""

from collections.abc import Iterable

from homeport.domain.events import ChoiceFinished, Event, ScoredToken, TextDelta


class Choice:
    """One choice, as far as it has been generated. `reason`: why it is complete; None: it is not."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.scored: list[ScoredToken] = []
        self.reason: str | None = None
        self._texts: list[str] = []

    @property
    def text(self) -> str:
        """All text so far."""
        return "".join(self._texts)

    def add(self, delta: TextDelta) -> None:
        """Append a delta."""
        self._texts.append(delta.text)
        self.scored.extend(delta.scored)


class ChoicesCollector:
    """All choices of a request, collected from events in any order."""

    def __init__(self) -> None:
        self._choices: dict[int, Choice] = {}

    @property
    def choices(self) -> list[Choice]:
        """The choices in the order of their indexes."""
        return [self._choices[index] for index in sorted(self._choices)]

    def add(self, events: Iterable[Event]) -> None:
        """Add a batch of events; those of no choice are ignored."""
        for event in events:
            if isinstance(event, TextDelta):
                self._choice(event.choice).add(event)
            elif isinstance(event, ChoiceFinished):
                self._choice(event.choice).reason = event.reason

    def _choice(self, index: int) -> Choice:
        choice = self._choices.get(index)
        if choice is None:
            choice = self._choices[index] = Choice(index)
        return choice
