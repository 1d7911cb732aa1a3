"""The output of one choice: from the pieces of its text to deltas of content, reasoning and tool calls.

Knows nothing of tokens' sampling, of budgets or of other choices.
"""

import secrets
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

from homeport.domain.events import ReasoningDelta, ScoredToken, TextDelta, ToolCallDelta
from homeport.engines.text.answers.answer_parser import AnswerParser
from homeport.engines.text.answers.segments import (
    CallArguments,
    CallBegin,
    CallEnd,
    ContentText,
    ReasoningText,
    Segment,
)
from homeport.engines.text.detokenizer import TextPiece

ChoiceDelta = TextDelta | ReasoningDelta | ToolCallDelta

_MAX_EQUAL_CALLS = 3
"""Calls with equal names and arguments in one answer. Small models write them without end, most often after a result;
two of them may be wanted."""


class ChoiceOutput(Protocol):
    """Collects a choice's text, and returns it as deltas."""

    @property
    def in_reasoning(self) -> bool:
        """Whether the text so far ends within reasoning."""
        ...

    @property
    def in_content(self) -> bool:
        """Whether the text so far ends within content, where stop strings count."""
        ...

    @property
    def calls(self) -> int:
        """The number of tool calls so far."""
        ...

    @property
    def repeats_calls(self) -> bool:
        """Whether the text so far repeats a tool call so often that the answer should end."""
        ...

    def add(self, piece: TextPiece) -> None:
        """Add the next piece of text."""
        ...

    def close(self, *, is_complete: bool) -> None:
        """End the text. `is_complete` False: it was cut."""
        ...

    def take(self, choice: int, tokens: int) -> list[ChoiceDelta]:
        """Return what was added since the last call as deltas of choice `choice`, the first with `tokens` tokens."""
        ...


class PlainOutput:
    """The output of a choice all of whose text is content."""

    in_reasoning = False
    in_content = True
    calls = 0
    repeats_calls = False

    def __init__(self) -> None:
        self._pieces: list[TextPiece] = []

    def add(self, piece: TextPiece) -> None:
        """Add the next piece of text."""
        self._pieces.append(piece)

    def close(self, *, is_complete: bool) -> None:
        """Do nothing: no text is held back here."""

    def take(self, choice: int, tokens: int) -> list[ChoiceDelta]:
        """Return one delta, or none if there is neither text nor scores."""
        text = "".join(piece.text for piece in self._pieces)
        scored = tuple(token for piece in self._pieces for token in piece.scored)
        self._pieces.clear()
        return [TextDelta(choice, text, scored, tokens)] if text or scored else []


@dataclass(slots=True)
class _Entry:
    """Adjacent segments of one kind: content, reasoning, or one call (`index`), whose first entry has id and name."""

    kind: type[ChoiceDelta]
    index: int = 0
    id: str = ""
    name: str = ""
    texts: list[str] = field(default_factory=list)
    scored: list[ScoredToken] = field(default_factory=list)

    def delta(self, choice: int, tokens: int) -> ChoiceDelta:
        """Return the entry as a delta."""
        text = "".join(self.texts)
        if self.kind is ToolCallDelta:
            return ToolCallDelta(choice, self.index, self.id, self.name, text, tokens)
        if self.kind is ReasoningDelta:
            return ReasoningDelta(choice, text, tokens)
        return TextDelta(choice, text, tuple(self.scored), tokens)


class ParsedOutput:
    """The output of a choice that may contain reasoning and tool calls. Only content has log-probabilities."""

    def __init__(self, parser: AnswerParser) -> None:
        self._parser = parser
        self._entries: list[_Entry] = []
        self._scored: deque[ScoredToken] = deque()  # not yet known whether they are content
        self._content: deque[tuple[int, int]] = deque()  # ranges of the text's characters that are content
        self._call: list[str] = []  # the latest call: its name, then its arguments in pieces
        self._completed: Counter[tuple[str, str]] = Counter()  # complete calls: name and arguments
        self._repeats_calls = False

    @property
    def in_reasoning(self) -> bool:
        """Whether the text so far ends within reasoning."""
        return self._parser.in_reasoning

    @property
    def in_content(self) -> bool:
        """Whether the text so far ends within content."""
        return self._parser.in_content

    @property
    def calls(self) -> int:
        """The number of tool calls so far."""
        return self._parser.calls

    @property
    def repeats_calls(self) -> bool:
        """Whether the answer has as many equal calls as it may."""
        return self._repeats_calls

    def add(self, piece: TextPiece) -> None:
        """Parse the next piece of text."""
        self._scored.extend(piece.scored)
        self._add_segments(self._parser.feed(piece.text))

    def close(self, *, is_complete: bool) -> None:
        """End the text: what the parser held back is added."""
        self._add_segments(self._parser.close(is_complete=is_complete))

    def take(self, choice: int, tokens: int) -> list[ChoiceDelta]:
        """Return one delta for each run of content, of reasoning or of a call; only the first one has tokens."""
        deltas: list[ChoiceDelta] = []
        for entry in self._entries:
            deltas.append(entry.delta(choice, 0 if deltas else tokens))
        self._entries.clear()
        return deltas

    def _add_segments(self, segments: Iterable[Segment]) -> None:
        for segment in segments:
            match segment:
                case ContentText(text, start):
                    self._entry(TextDelta).texts.append(text)
                    self._content.append((start, segment.end))
                case ReasoningText(text):
                    self._entry(ReasoningDelta).texts.append(text)
                case CallBegin(index, name):
                    self._entries.append(_Entry(ToolCallDelta, index, f"call_{secrets.token_hex(12)}", name))
                    self._call = [name]
                case CallArguments(index, text):
                    self._entry(ToolCallDelta, index).texts.append(text)
                    self._call.append(text)
                case CallEnd():
                    call = self._call[0], "".join(self._call[1:])
                    self._completed[call] += 1
                    self._repeats_calls |= self._completed[call] == _MAX_EQUAL_CALLS
        self._assign_scores()

    def _entry(self, kind: type[ChoiceDelta], index: int = 0) -> _Entry:
        """Return the last entry if it is of this kind, else a new one."""
        if not self._entries or (self._entries[-1].kind, self._entries[-1].index) != (kind, index):
            self._entries.append(_Entry(kind, index))
        return self._entries[-1]

    def _assign_scores(self) -> None:
        """Add the scores of the tokens that are content to it; those of other tokens before its end are dropped."""
        while self._scored and self._content and self._scored[0].offset < self._content[-1][1]:
            token = self._scored.popleft()
            while self._content[0][1] <= token.offset:
                self._content.popleft()
            if token.offset + max(1, len(token.token)) > self._content[0][0]:
                self._entry(TextDelta).scored.append(token)
