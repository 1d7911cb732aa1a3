"""The JSON of completions: answers, chunks, and logprobs as four parallel lists. Knows nothing of HTTP."""

import uuid
from collections.abc import Sequence
from functools import partial

import msgspec
from msgspec import UNSET, UnsetType

from homeport.api.completions.schema import CompletionBody
from homeport.api.request_context import RequestContext
from homeport.api.text_generation.choices import Choice
from homeport.api.text_generation.render import AnswerBody, UsageBody, clamp_logprob, render_usage
from homeport.api.text_generation.writers import TextAnswerWriter, TextStreamWriter
from homeport.api.writer import AnswerMetadata, Writer
from homeport.domain.events import ScoredToken, Usage


class Logprobs(msgspec.Struct, frozen=True):
    """One entry per token. The first token of a document has no log-probability: null."""

    tokens: list[str]
    token_logprobs: list[float | None]
    top_logprobs: list[dict[str, float] | None] | None
    text_offset: list[int]


class CompletionChoice(msgspec.Struct, frozen=True):
    """One answer to one prompt, or a part of it."""

    text: str
    index: int
    logprobs: Logprobs | None
    finish_reason: str | None


class Completion(AnswerBody, frozen=True):
    """The body of an answer and of each chunk; chunks have `usage` only if the caller asked for it."""

    id: str
    object: str
    created: int
    model: str
    system_fingerprint: str
    choices: list[CompletionChoice]
    usage: UsageBody | UnsetType | None = UNSET


def completion_writer(body: CompletionBody, context: RequestContext) -> Writer:
    """Make the writer that the body asks for: of one answer, or of a stream of chunks."""
    renderer = partial(
        CompletionRenderer, n=body.choices, top=body.logprobs, echo=bool(body.echo), has_usage=body.has_usage
    )
    if body.stream:
        return TextStreamWriter(renderer, context, is_padded=body.is_padded)
    return TextAnswerWriter(renderer, context)


class CompletionRenderer:
    """Renders completions: `n` per prompt, `top` alternatives per token (None for no logprobs).

    Offsets count from the start of the prompt, so without `echo` those of an answer begin at its prompt's length.
    """

    def __init__(self, answer: AnswerMetadata, *, n: int, top: int | None, echo: bool, has_usage: bool) -> None:
        self._id = f"cmpl-{uuid.uuid4().hex}"
        self._answer = answer
        self._n = n
        self._top = top
        prompt_chars = answer.admitted.prompt_chars
        self._starts = (0,) * len(prompt_chars) if echo else prompt_chars
        self._has_usage = has_usage

    def opening(self, choice: int, *, has_text: bool) -> None:
        """Return nothing: completions begin with their first text."""

    def delta(self, choice: int, text: str, scored: tuple[ScoredToken, ...]) -> Completion:
        """Make the chunk for new text."""
        return self._chunk(CompletionChoice(text, choice, self._logprobs(choice, scored) if scored else None, None))

    def reasoning(self, choice: int, text: str) -> None:
        """Return nothing: only chats have reasoning."""

    def call(self, choice: int, index: int, call_id: str, name: str) -> None:
        """Return nothing: only chats have tool calls."""

    def arguments(self, choice: int, index: int, text: str) -> None:
        """Return nothing: only chats have tool calls."""

    def finish(self, choice: int, reason: str) -> Completion:
        """Make the last chunk of one choice."""
        return self._chunk(CompletionChoice("", choice, None, reason))

    def usage(self, usage: Usage) -> Completion | None:
        """Make the chunk with the usage, if the caller asked for it."""
        return self._render_body([], render_usage(usage)) if self._has_usage else None

    def answer(self, choices: Sequence[Choice], usage: Usage) -> Completion:
        """Make the whole answer."""
        return self._render_body([self._render_choice(choice) for choice in choices], render_usage(usage))

    def _render_choice(self, choice: Choice) -> CompletionChoice:
        logprobs = None if self._top is None else self._logprobs(choice.index, choice.scored)
        return CompletionChoice(choice.text, choice.index, logprobs, choice.reason)

    def _chunk(self, choice: CompletionChoice) -> Completion:
        return self._render_body([choice], None if self._has_usage else UNSET)

    def _render_body(self, choices: list[CompletionChoice], usage: UsageBody | UnsetType | None) -> Completion:
        answer = self._answer
        return Completion(self._id, "text_completion", answer.created, answer.model, answer.fingerprint, choices, usage)

    def _logprobs(self, choice: int, scored: Sequence[ScoredToken]) -> Logprobs:
        start = self._starts[choice // self._n]
        return Logprobs(
            tokens=[each.token for each in scored],
            token_logprobs=[None if each.logprob is None else clamp_logprob(each.logprob) for each in scored],
            top_logprobs=[_alternatives(each) for each in scored] if self._top else None,
            text_offset=[start + each.offset for each in scored],
        )


def _alternatives(scored: ScoredToken) -> dict[str, float] | None:
    """Map the likeliest tokens and the token itself to log-probabilities. Of two equal texts, the likelier counts."""
    if scored.logprob is None:
        return None
    logprobs: dict[str, float] = {}
    for each in scored.top:
        logprobs.setdefault(each.token, clamp_logprob(each.logprob))
    logprobs.setdefault(scored.token, clamp_logprob(scored.logprob))
    return logprobs
