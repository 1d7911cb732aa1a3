"""One request's answer as it grows: drawn tokens in, events out. Knows nothing of batching, cells or threads."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from homeport.domain.events import (
    Admitted,
    ChoiceFinished,
    Done,
    Event,
    QuotaLow,
    ScoredToken,
    TextDelta,
    Usage,
)
from homeport.domain.text import TextRequest
from homeport.engines.text.detokenizer import Detokenizer, TextPiece
from homeport.engines.text.executor import Vocabulary
from homeport.engines.text.logprobs import TokenScore
from homeport.engines.text.prompt_lookup import PromptLookup
from homeport.engines.text.prompt_processor import PreparedPrompt
from homeport.engines.text.request_queue import PreparedRequest
from homeport.engines.text.sampling import TokenSampler
from homeport.engines.text.scheduled_request import Candidate, ScheduledRequest

_QUOTA_LOW = 128
"""Tokens before its end at which more quota is asked for: there while those are drawn, so that no step waits."""


@dataclass(eq=False, slots=True)
class _ChoiceState:
    """One candidate's side of an answer. `number` counts all candidates of the request, prompt-major."""

    number: int
    prompt: int
    draw: TokenSampler
    transcript: Detokenizer
    ends: frozenset[int]
    budget: int
    echoes: bool
    held: list[TextPiece] = field(default_factory=list)
    generated: int = 0
    sent_tokens: int = 0  # of them, those that a delta was given out for
    total: float = 0.0  # sum of the generated tokens' log-probabilities
    last: float = 0.0  # the latest drawn token's, the end token's included
    reason: str | None = None
    is_cut: bool = False

    @property
    def mean_logprob(self) -> float:
        """Mean log-probability per generated token; an answer that ended at once has its end token's."""
        return self.total / self.generated if self.generated else self.last


class OutputProcessor:
    """Turns what candidates drew into events. `seed` makes the noise; credit is spent from `group`.

    With `best_of` over `n`, nothing is given out for a prompt until all its candidates are finished.
    """

    def __init__(self, arrival: PreparedRequest, group: ScheduledRequest, vocabulary: Vocabulary, *, seed: int) -> None:
        self.id = arrival.id
        self.group = group
        self._request = arrival.request
        self._preparation = arrival.prompts
        self._holds = self._request.best_of > self._request.n
        group.streams = not self._holds
        self._choices: dict[Candidate, _ChoiceState] = {}
        self._rivals: dict[int, list[_ChoiceState]] = {}  # by prompt
        self._scores: dict[int, list[TokenScore]] = {}
        per_prompt = max(self._request.best_of, self._request.n)
        for prompt, prepared in enumerate(self._preparation.prompts):
            numbers = range(prompt * per_prompt, (prompt + 1) * per_prompt)
            self._rivals[prompt] = [self._choice(number, prompt, vocabulary, seed) for number in numbers]
            if self.scores_prompt:
                self._scores[prompt] = [TokenScore(token, None) for token in prepared.ids]
            if self._preparation.budget[prompt]:
                source = self._preparation.shares[prompt].source
                for choice in self._rivals[prompt]:
                    candidate = group.add_candidate(prompt, prepared.ids, scores=self.scores_prompt)
                    candidate.lookup = PromptLookup(source, choice.budget) if source else None
                    self._choices[candidate] = choice
            elif self.scores_prompt:
                group.add_candidate(prompt, prepared.ids, scores=True, samples=False)
        self._unfinished = per_prompt * len(self._rivals)
        self._asks, self._has_all = True, False  # whether to ask for more quota; whether there is no more
        if self._request.quota is not None:
            group.quota = self._request.quota - self.usage.prompt_tokens

    @property
    def request(self) -> TextRequest:
        """What was asked."""
        return self._request

    @property
    def scores_prompt(self) -> bool:
        """Whether the prompt's own log-probabilities are part of the answer."""
        return self._request.echo and self._request.logprobs is not None

    @property
    def wants_scores(self) -> bool:
        """Whether drawn tokens' log-probabilities are needed: to be shown, or to choose the best by."""
        return self._holds or self._request.logprobs is not None

    @property
    def top(self) -> int:
        """How many alternatives are shown beside each token."""
        return self._request.logprobs or 0

    @property
    def usage(self) -> Usage:
        """What was spent so far."""
        prompt_tokens = sum(len(prepared.ids) for prepared in self._preparation.prompts)
        generated = sum(choice.generated for choice in self._choices.values())
        return Usage(prompt_tokens, generated, self.group.cached)

    @property
    def is_done(self) -> bool:
        """Whether every choice is finished."""
        return self._unfinished == 0

    def admitted_event(self) -> Admitted:
        """The event that says work begins."""
        prompts = self._preparation.prompts
        changes = tuple(dict.fromkeys(change for prepared in prompts for change in prepared.changes))
        return Admitted(self.usage.prompt_tokens, tuple(prepared.chars for prepared in prompts), changes=changes)

    def sampler_of(self, candidate: Candidate) -> TokenSampler:
        """How a candidate draws its next token."""
        return self._choices[candidate].draw

    def add_prompt_scores(self, prompt: int, first: int, scores: list[TokenScore]) -> None:
        """Scores of a prompt's tokens from index `first` on."""
        self._scores[prompt][first : first + len(scores)] = scores

    def start(self) -> list[Event]:
        """What needs no computing at all: prompts with a budget of no tokens that are not scored either."""
        silent = (prompt for prompt, budget in enumerate(self._preparation.budget) if not budget)
        return (
            [] if self.scores_prompt else [event for prompt in silent for event in self.finish_without_tokens(prompt)]
        )

    def finish_without_tokens(self, prompt: int) -> list[Event]:
        """Complete a prompt with a budget of no tokens: only the prompt is given out."""
        return [
            event
            for choice in self._rivals[prompt]
            for event in self._emit_choice(choice, self._echo_prompt(choice), "length")
        ]

    def add_tokens(
        self, candidate: Candidate, tokens: Sequence[int], scores: Sequence[TokenScore | None]
    ) -> tuple[list[Event], int]:
        """A candidate drew tokens: what may be given out now, and how many were taken, fewer where it is finished."""
        choice = self._choices[candidate]
        pieces = self._echo_prompt(choice)
        taken, reason = 0, None
        while reason is None and taken < len(tokens):
            reason = self._add_token(choice, pieces, tokens[taken], scores[taken])
            taken += 1
        return self._emit_choice(choice, pieces, reason), taken

    def grant(self, n: int) -> None:
        """More quota is there, or (0) there is no more."""
        if self.group.quota is not None:
            self.group.quota += n
            self._asks, self._has_all = n > 0, n == 0

    def check_quota(self) -> list[Event]:
        """After a step, or a grant: ask for more where the quota runs low, finish everything where it is used up."""
        quota = self.group.quota
        if quota is None or self.is_done or quota > _QUOTA_LOW:
            return []
        choices = [choice for rivals in self._rivals.values() for choice in rivals if choice.reason is None]
        if self._has_all and quota <= 0:
            return [event for choice in choices for event in self._cut(choice)]
        if not self._asks:
            return []
        self._asks = False  # not again before there is a grant, and never where what is left is enough
        wanted = sum(max(1, choice.budget - choice.generated) for choice in choices) - quota
        usage = self.usage
        return [QuotaLow(usage.prompt_tokens + usage.completion_tokens, wanted)] if wanted > 0 else []

    def is_finished(self, candidate: Candidate) -> bool:
        """Whether this candidate needs no more tokens."""
        return self._choices[candidate].reason is not None

    def _add_token(
        self, choice: _ChoiceState, pieces: list[TextPiece], token: int, score: TokenScore | None
    ) -> str | None:
        """One drawn token's text onto `pieces`; why the choice is finished, where it is."""
        choice.last = score.logprob if score is not None and score.logprob is not None else 0.0
        if token in choice.ends:
            pieces.append(choice.transcript.close())
            return "stop"
        choice.generated += 1
        if self.group.quota is not None:
            self.group.quota -= 1
        choice.total += choice.last
        pieces.append(choice.transcript.push(token, score if self._request.logprobs is not None else None))
        if choice.transcript.stopped:
            return "stop"
        if choice.generated == choice.budget:
            pieces.append(choice.transcript.close())
            return "length"
        return None

    def _choice(self, number: int, prompt: int, vocabulary: Vocabulary, seed: int) -> _ChoiceState:
        request, share = self._request, self._preparation.shares[prompt]
        draw = TokenSampler(
            request.sampling,
            seed=seed,
            choice=number,
            bias=self._preparation.bias,
            prompt_ids=share.prompt_ids,
            ends=share.end_ids,
            min_tokens=request.stopping.min_tokens,
        )
        transcript = Detokenizer(vocabulary, share.stops, scores=request.logprobs is not None)
        budget = self._preparation.budget[prompt]
        return _ChoiceState(number, prompt, draw, transcript, share.ends, budget, echoes=request.echo)

    def _cut(self, choice: _ChoiceState) -> list[Event]:
        choice.is_cut = True
        return self._emit_choice(choice, [*self._echo_prompt(choice), choice.transcript.close()], "length")

    def _echo_prompt(self, choice: _ChoiceState) -> list[TextPiece]:
        """The prompt, the first time a choice gives anything out, where it was asked for."""
        if not choice.echoes:
            return []
        choice.echoes = False
        prepared: PreparedPrompt = self._preparation.prompts[choice.prompt]
        return [choice.transcript.echo(prepared.text, prepared.ids, self._scores.get(choice.prompt))]

    def _emit_choice(self, choice: _ChoiceState, pieces: list[TextPiece], reason: str | None) -> list[Event]:
        """Give out what a choice has now; `reason` where it is thereby finished."""
        choice.reason = reason
        self._unfinished -= reason is not None
        if not self._holds:
            events = self._events(choice.number, choice, pieces, reason)
        else:
            choice.held += pieces
            events = self._best_candidates(choice.prompt) if reason is not None else []
        self.group.credit -= sum(isinstance(event, TextDelta) for event in events)
        if self.is_done:
            events.append(Done(self.usage))
        return events

    def _best_candidates(self, prompt: int) -> list[Event]:
        """The best candidates of a prompt, once all are finished."""
        rivals = self._rivals[prompt]
        if not all(choice.reason for choice in rivals):
            return []
        ranked = sorted(rivals, key=lambda choice: -choice.mean_logprob)[: self._request.n]
        first = prompt * self._request.n
        chosen = (self._events(first + place, one, one.held, one.reason) for place, one in enumerate(ranked))
        return [event for events in chosen for event in events]

    @staticmethod
    def _events(number: int, choice: _ChoiceState, pieces: list[TextPiece], reason: str | None) -> list[Event]:
        text = "".join(piece.text for piece in pieces)
        scored: tuple[ScoredToken, ...] = tuple(one for piece in pieces for one in piece.scored)
        events: list[Event] = []
        if text or scored:
            events.append(TextDelta(number, text, scored, choice.generated - choice.sent_tokens))
            choice.sent_tokens = choice.generated
        if reason is not None:
            events.append(ChoiceFinished(number, reason, choice.is_cut))
        return events
