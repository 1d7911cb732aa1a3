"""What every text answer has in common: its head, its usage, and the events of each choice put together.

Knows nothing of chunks or HTTP. An answer that is not streamed is made of the same events as one that is.
"""

from collections.abc import Iterable
from typing import TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from homeport.domain.events import (
    ChoiceFinished,
    ScoredToken,
    TextDelta,
    Usage,
)

# What stands for a probability of nothing, which JSON cannot write: OpenAI's own stand-in.
LOGPROB_MIN = -9999.0


class AnswerMetadata(msgspec.Struct, frozen=True):
    """What all chunks of one answer say alike. `model` is the name that was asked for; `created` is Unix seconds."""

    id: str
    created: int
    model: str
    fingerprint: str


class PromptDetails(msgspec.Struct, frozen=True):
    """Where the prompt's tokens came from."""

    cached_tokens: int
    audio_tokens: int = 0


class CompletionDetails(msgspec.Struct, frozen=True):
    """What the generated tokens were; text alone, here."""

    reasoning_tokens: int = 0
    audio_tokens: int = 0
    accepted_prediction_tokens: int = 0
    rejected_prediction_tokens: int = 0


class AnswerBody(msgspec.Struct, frozen=True, kw_only=True):
    """What every answer and every chunk may say beside OpenAI's fields: the key's limit that ended it."""

    limited_by: str | UnsetType = UNSET


B = TypeVar("B", bound=msgspec.Struct)


def limited(body: B, limited_by: str) -> B:
    """Say in an answer, or in a choice's last chunk, which limit of the key ended it; nothing where none did."""
    return msgspec.structs.replace(body, limited_by=limited_by) if limited_by else body


class UsageBody(msgspec.Struct, frozen=True):
    """OpenAI's `usage`."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptDetails
    completion_tokens_details: CompletionDetails = CompletionDetails()


def render_usage(usage: Usage) -> UsageBody:
    """Write what a request cost as OpenAI does."""
    total = usage.prompt_tokens + usage.completion_tokens
    return UsageBody(usage.prompt_tokens, usage.completion_tokens, total, PromptDetails(usage.cached_tokens))


def clamp_logprob(logprob: float) -> float:
    """A log-probability that JSON can write."""
    return max(logprob, LOGPROB_MIN)


class Choice:
    """One choice, as far as it has come."""

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
    """All choices of a request, in index order, put together from its events in whatever order they come."""

    def __init__(self, choices: int) -> None:
        self.choices = [Choice(index) for index in range(choices)]

    def add(self, events: Iterable[object]) -> None:
        """Take a batch of events; those that belong to no choice are passed over."""
        for event in events:
            if isinstance(event, TextDelta):
                self.choices[event.choice].add(event)
            elif isinstance(event, ChoiceFinished):
                self.choices[event.choice].reason = event.reason
