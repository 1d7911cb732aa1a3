"""The choices of a text answer, collected from their events. Knows nothing of JSON."""

from collections.abc import Iterable

from homeport.domain.events import ChoiceFinished, Event, ReasoningDelta, ScoredToken, TextDelta, ToolCallDelta


class ToolCall:
    """One call of a tool, as far as it has been generated. `arguments`: JSON, or a custom tool's input."""

    def __init__(self, call_id: str, name: str) -> None:
        self.id = call_id
        self.name = name
        self._arguments: list[str] = []

    @property
    def arguments(self) -> str:
        """All arguments so far."""
        return "".join(self._arguments)

    def add(self, arguments: str) -> None:
        """Append to the arguments."""
        self._arguments.append(arguments)


class Choice:
    """One choice, as far as it has been generated. `reason`: why it is complete; None: it is not."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.scored: list[ScoredToken] = []
        self.reason: str | None = None
        self._texts: list[str] = []
        self._thoughts: list[str] = []
        self._calls: dict[int, ToolCall] = {}

    @property
    def reasoning(self) -> str:
        """All reasoning so far."""
        return "".join(self._thoughts)

    @property
    def calls(self) -> list[ToolCall]:
        """The calls so far, in the order of their indexes."""
        return [self._calls[index] for index in sorted(self._calls)]

    @property
    def text(self) -> str:
        """All text so far."""
        return "".join(self._texts)

    def add(self, delta: TextDelta) -> None:
        """Append a delta."""
        self._texts.append(delta.text)
        self.scored.extend(delta.scored)

    def add_reasoning(self, delta: ReasoningDelta) -> None:
        """Append reasoning."""
        self._thoughts.append(delta.text)

    def add_call(self, delta: ToolCallDelta) -> None:
        """Begin a call, or append to one."""
        call = self._calls.get(delta.index)
        if call is None:
            call = self._calls[delta.index] = ToolCall(delta.id, delta.name)
        call.add(delta.arguments)


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
            elif isinstance(event, ReasoningDelta):
                self._choice(event.choice).add_reasoning(event)
            elif isinstance(event, ToolCallDelta):
                self._choice(event.choice).add_call(event)
            elif isinstance(event, ChoiceFinished):
                self._choice(event.choice).reason = event.reason

    def _choice(self, index: int) -> Choice:
        choice = self._choices.get(index)
        if choice is None:
            choice = self._choices[index] = Choice(index)
        return choice
