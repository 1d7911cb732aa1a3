"""The JSON of completions and edits: answers, chunks, and logprobs as four parallel lists.

Knows nothing of requests, streams or HTTP.
"""

from collections.abc import Sequence

import msgspec
from msgspec import UNSET, UnsetType

from homeport.api.text_generation.choices import (
    AnswerBody,
    AnswerMetadata,
    Choice,
    ChoicesCollector,
    UsageBody,
    clamp_logprob,
    render_usage,
)
from homeport.domain.events import Admitted, ScoredToken, Usage


class Logprobs(msgspec.Struct, frozen=True):
    """One entry per token. The first token of a document has no log-probability: null."""

    tokens: list[str]
    token_logprobs: list[float | None]
    top_logprobs: list[dict[str, float] | None] | None
    text_offset: list[int]


class CompletionChoice(msgspec.Struct, frozen=True):
    """One answer to one prompt, or a piece of it."""

    text: str
    index: int
    logprobs: Logprobs | None
    finish_reason: str | None


class Completion(AnswerBody, frozen=True):
    """The body of an answer and of each chunk; `usage` is left out of chunks unless it was asked for."""

    id: str
    object: str
    created: int
    model: str
    system_fingerprint: str
    choices: list[CompletionChoice]
    usage: UsageBody | UnsetType | None = UNSET


class CompletionRenderer:
    """Writes completions: `n` per prompt, `top` alternatives per token (None for no logprobs).

    Offsets count from the start of the prompt, so without `echo` each answer's begin at its prompt's length.
    """

    def __init__(
        self, head: AnswerMetadata, admitted: Admitted, *, n: int, top: int | None, echo: bool, has_usage: bool
    ) -> None:
        self._head = head
        self._n = n
        self._top = top
        self._starts = (0,) * len(admitted.prompt_chars) if echo else admitted.prompt_chars
        self._has_usage = has_usage

    def opening(self, choice: int) -> None:
        """Completions begin with their first text."""

    def delta(self, choice: int, text: str, scored: tuple[ScoredToken, ...]) -> Completion:
        """Make the chunk for new text."""
        return self._chunk(CompletionChoice(text, choice, self._logprobs(choice, scored) if scored else None, None))

    def finish(self, choice: int, reason: str) -> Completion:
        """Make the last chunk of one choice."""
        return self._chunk(CompletionChoice("", choice, None, reason))

    def usage(self, usage: Usage) -> Completion | None:
        """Make the chunk with the usage, if it was asked for."""
        return self._render_body([], render_usage(usage)) if self._has_usage else None

    def answer(self, collected: ChoicesCollector, usage: Usage) -> Completion:
        """Make the whole answer."""
        return self._render_body([self._render_choice(choice) for choice in collected.choices], render_usage(usage))

    def _render_choice(self, choice: Choice) -> CompletionChoice:
        logprobs = None if self._top is None else self._logprobs(choice.index, choice.scored)
        return CompletionChoice(choice.text, choice.index, logprobs, choice.reason)

    def _chunk(self, choice: CompletionChoice) -> Completion:
        return self._render_body([choice], None if self._has_usage else UNSET)

    def _render_body(self, choices: list[CompletionChoice], usage: UsageBody | UnsetType | None) -> Completion:
        head = self._head
        return Completion(head.id, "text_completion", head.created, head.model, head.fingerprint, choices, usage)

    def _logprobs(self, choice: int, scored: Sequence[ScoredToken]) -> Logprobs:
        start = self._starts[choice // self._n]
        return Logprobs(
            tokens=[each.token for each in scored],
            token_logprobs=[None if each.logprob is None else clamp_logprob(each.logprob) for each in scored],
            top_logprobs=[_alternatives(each) for each in scored] if self._top else None,
            text_offset=[start + each.offset for each in scored],
        )


def _alternatives(scored: ScoredToken) -> dict[str, float] | None:
    """The likeliest tokens by their text, and always the token itself. Of two with one text the likelier is kept."""
    if scored.logprob is None:
        return None
    table: dict[str, float] = {}
    for each in scored.top:
        table.setdefault(each.token, clamp_logprob(each.logprob))
    table.setdefault(scored.token, clamp_logprob(scored.logprob))
    return table
