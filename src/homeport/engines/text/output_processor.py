"""Turns one request's sampled tokens into events. Knows nothing of batching, cells or threads."""

from collections.abc import Sequence
from dataclasses import dataclass

from homeport.domain.events import CREDIT_FREE_EVENTS, Admitted, ChoiceFinished, Done, Event, QuotaLow, Usage
from homeport.domain.text import ChatPrompt
from homeport.engines.text.answer_plan import AnswerPlan
from homeport.engines.text.choice_output import ChoiceOutput, PlainOutput
from homeport.engines.text.detokenizer import Detokenizer
from homeport.engines.text.executor import Vocabulary
from homeport.engines.text.logprobs import TokenScore
from homeport.engines.text.prompt_lookup import PromptLookup
from homeport.engines.text.request_queue import PreparedRequest
from homeport.engines.text.sampling import TokenSampler
from homeport.engines.text.scheduled_request import Candidate, ScheduledRequest

_QUOTA_LOW = 128
"""Remaining tokens at which more quota is requested, early enough that no step waits for it."""


@dataclass(eq=False, slots=True)
class _ChoiceState:
    """The output state of one candidate. `number` counts all candidates of the request, prompt-major."""

    number: int
    prompt: int
    sampler: TokenSampler
    detokenizer: Detokenizer
    output: ChoiceOutput
    plan: AnswerPlan | None
    ends: frozenset[int]
    budget: int
    echoes: bool
    generated: int = 0
    reasoning: int = 0  # generated tokens of reasoning
    sent_tokens: int = 0  # generated tokens that a delta was emitted for
    total: float = 0.0  # sum of the generated tokens' log-probabilities
    last: float = 0.0  # the latest sampled token's log-probability, also of an end token
    reason: str | None = None
    is_cut: bool = False

    @property
    def mean_logprob(self) -> float:
        """Mean log-probability per generated token; that of the end token if the answer is empty."""
        return self.total / self.generated if self.generated else self.last


class OutputProcessor:
    """Turns the tokens that candidates sampled into events. `seed` determines the noise; `scheduled` holds the credit.

    If `best_of` exceeds `n`, nothing is emitted for a prompt until all its candidates are finished.
    """

    def __init__(
        self, prepared: PreparedRequest, scheduled: ScheduledRequest, vocabulary: Vocabulary, *, seed: int
    ) -> None:
        self.id = prepared.id
        self.scheduled = scheduled
        self._request = prepared.request
        self._prepared = prepared.prompts
        self._selects_best = self._request.best_of > self._request.n
        self._has_prediction = any(isinstance(one, ChatPrompt) and one.prediction for one in self._request.prompts)
        scheduled.streams = not self._selects_best
        self._choices: dict[Candidate, _ChoiceState] = {}
        self._choices_by_prompt: dict[int, list[_ChoiceState]] = {}
        self._scores: dict[int, list[TokenScore]] = {}
        per_prompt = max(self._request.best_of, self._request.n)
        for prompt, one in enumerate(self._prepared.prompts):
            numbers = range(prompt * per_prompt, (prompt + 1) * per_prompt)
            choices = [self._choice(number, prompt, vocabulary, seed) for number in numbers]
            self._choices_by_prompt[prompt] = choices
            if self.scores_prompt:
                self._scores[prompt] = [TokenScore(token, None) for token in one.ids]
            if self._prepared.budget[prompt]:
                source = self._prepared.shares[prompt].source
                for choice in choices:
                    candidate = scheduled.add_candidate(prompt, one.ids, scores=self.scores_prompt, media=one.media)
                    candidate.lookup = PromptLookup(source, choice.budget) if source else None
                    candidate.forced = tuple(choice.sampler.next_forced())
                    self._choices[candidate] = choice
            elif self.scores_prompt:
                scheduled.add_candidate(prompt, one.ids, scores=True, samples=False)
        self._unfinished = per_prompt * len(self._choices_by_prompt)
        self._may_request_quota = True
        self._is_quota_final = False
        if self._request.quota is not None:
            scheduled.quota = self._request.quota - self.usage.prompt_tokens

    @property
    def scores_prompt(self) -> bool:
        """Whether the answer includes the prompt's own log-probabilities."""
        return self._request.echo and self._request.logprobs is not None

    @property
    def wants_scores(self) -> bool:
        """Whether sampled tokens' log-probabilities are needed: to be returned, or to select the best candidates."""
        return self._selects_best or self._request.logprobs is not None

    @property
    def top(self) -> int:
        """The number of alternatives to return for each token."""
        return self._request.logprobs or 0

    @property
    def usage(self) -> Usage:
        """The usage so far."""
        prompt_tokens = sum(len(prepared.ids) for prepared in self._prepared.prompts)
        choices = self._choices.values()
        return Usage(
            prompt_tokens,
            sum(choice.generated for choice in choices),
            self.scheduled.cached,
            sum(choice.reasoning for choice in choices),
            self.scheduled.accepted if self._has_prediction else 0,
            self.scheduled.drafted - self.scheduled.accepted if self._has_prediction else 0,
        )

    @property
    def is_done(self) -> bool:
        """Whether every choice is finished."""
        return self._unfinished == 0

    def admitted_event(self) -> Admitted:
        """Return the event that reports the start of work."""
        prompts = self._prepared.prompts
        changes = tuple(dict.fromkeys(change for prepared in prompts for change in prepared.changes))
        return Admitted(self.usage.prompt_tokens, tuple(prepared.chars for prepared in prompts), changes=changes)

    def sampler_of(self, candidate: Candidate) -> TokenSampler:
        """Return the sampler of a candidate."""
        return self._choices[candidate].sampler

    def add_prompt_scores(self, prompt: int, first: int, scores: list[TokenScore]) -> None:
        """Record the scores of a prompt's tokens from index `first` on."""
        self._scores[prompt][first : first + len(scores)] = scores

    def start(self) -> list[Event]:
        """Complete the prompts that need no step: those without a budget that are not scored either."""
        if self.scores_prompt:
            return []
        without_budget = (prompt for prompt, budget in enumerate(self._prepared.budget) if not budget)
        return [event for prompt in without_budget for event in self.finish_without_tokens(prompt)]

    def finish_without_tokens(self, prompt: int) -> list[Event]:
        """Complete a prompt without a budget: only the prompt is emitted."""
        return [event for choice in self._choices_by_prompt[prompt] for event in self._finish_without_tokens(choice)]

    def add_tokens(
        self, candidate: Candidate, tokens: Sequence[int], scores: Sequence[TokenScore | None]
    ) -> tuple[list[Event], int, list[int]]:
        """Add tokens that a candidate sampled, and those that certainly follow them.

        Returns events, the number of `tokens` used, fewer if it finishes, and the tokens added after them, which the
        sampler has accepted. No token is added ahead of its logits if its log-probability is needed.
        """
        choice = self._choices[candidate]
        self._echo_prompt(choice)
        n_used, reason = self._add_run(choice, tokens, scores)
        added: list[int] = []
        while reason is None and (forced := self._forced(choice)):
            for token in forced:
                choice.sampler.accept(token)
            n_added, reason = self._add_run(choice, forced, [None] * len(forced))
            added += forced[:n_added]
        return self._emit_choice(choice, reason), n_used, added

    def grant(self, n: int) -> None:
        """Add quota; 0 means that there is no more."""
        if self.scheduled.quota is not None:
            self.scheduled.quota += n
            self._may_request_quota, self._is_quota_final = n > 0, n == 0

    def check_quota(self) -> list[Event]:
        """After a step or a grant: request more quota if it runs low, finish all choices if it is used up."""
        quota = self.scheduled.quota
        if quota is None or self.is_done or quota > _QUOTA_LOW:
            return []
        unfinished = [each for choices in self._choices_by_prompt.values() for each in choices if each.reason is None]
        if self._is_quota_final and quota <= 0:
            return [event for choice in unfinished for event in self._cut(choice)]
        if not self._may_request_quota:
            return []
        self._may_request_quota = False  # not again before a grant, and never if what is left is enough
        wanted = sum(max(1, choice.budget - choice.generated) for choice in unfinished) - quota
        usage = self.usage
        return [QuotaLow(usage.prompt_tokens + usage.completion_tokens, wanted)] if wanted > 0 else []

    def is_finished(self, candidate: Candidate) -> bool:
        """Return whether this candidate needs no more tokens."""
        return self._choices[candidate].reason is not None

    def _add_run(
        self, choice: _ChoiceState, tokens: Sequence[int], scores: Sequence[TokenScore | None]
    ) -> tuple[int, str | None]:
        """Append tokens that the sampler has accepted; return how many were used, and the finish reason if any."""
        n_used, reason = 0, None
        while reason is None and n_used < len(tokens):
            # The sampler is already at the end of the tokens, so only for the last one it knows whether it is complete.
            is_last = n_used == len(tokens) - 1 and choice.sampler.is_complete
            reason = self._add_token(choice, tokens[n_used], scores[n_used], is_last=is_last)
            n_used += 1
        return n_used, reason

    def _forced(self, choice: _ChoiceState) -> Sequence[int]:
        """Return the tokens that certainly come next, within the quota; none if their log-probabilities are needed."""
        if self.wants_scores:
            return ()
        forced = choice.sampler.next_forced()
        quota = self.scheduled.quota
        return forced if quota is None else forced[: max(0, quota)]

    def _add_token(self, choice: _ChoiceState, token: int, score: TokenScore | None, *, is_last: bool) -> str | None:
        """Append one sampled token's text; return the finish reason, None if the choice continues."""
        choice.last = score.logprob if score is not None and score.logprob is not None else 0.0
        if token in choice.ends and self._ends_here(choice, token):
            return self._close(choice, "stop")
        choice.generated += 1
        if self.scheduled.quota is not None:
            self.scheduled.quota -= 1
        choice.total += choice.last
        output, was_in_reasoning = choice.output, choice.output.in_reasoning
        shown = score if self._request.logprobs is not None else None
        output.add(choice.detokenizer.push(token, shown, may_stop=output.in_content))
        choice.reasoning += was_in_reasoning or output.in_reasoning
        if choice.detokenizer.stopped or is_last or output.repeats_calls:
            return self._close(choice, "stop")
        if choice.generated == choice.budget:
            return self._close(choice, "length")
        self._limit_reasoning(choice)
        return None

    def _ends_here(self, choice: _ChoiceState, token: int) -> bool:
        """Return whether a token of `ends` ends the answer here: the caller's do, like stop strings, in content."""
        return choice.output.in_content or token in self._prepared.prompts[choice.prompt].end_tokens

    @staticmethod
    def _close(choice: _ChoiceState, reason: str) -> str:
        """End a choice's text; return why it ended: an answer that ended with tool calls says so."""
        is_complete = reason == "stop"
        choice.output.add(choice.detokenizer.close())
        choice.output.close(is_complete=is_complete)
        return choice.plan.finish_reason(choice.output.calls) if is_complete and choice.plan else reason

    @staticmethod
    def _limit_reasoning(choice: _ChoiceState) -> None:
        """If reasoning has used up its tokens, force its end."""
        limit = choice.plan.reasoning_limit if choice.plan else None
        if limit is not None and choice.reasoning == limit.tokens and choice.output.in_reasoning:
            choice.sampler.force(limit.end)

    def _choice(self, number: int, prompt: int, vocabulary: Vocabulary, seed: int) -> _ChoiceState:
        request, shared = self._request, self._prepared.shares[prompt]
        plan = shared.plan
        sampler = TokenSampler(
            request.sampling,
            seed=seed,
            choice=number,
            bias=self._prepared.bias,
            prompt_ids=shared.prompt_ids,
            ends=shared.end_ids,
            min_tokens=request.stopping.min_tokens,
        )
        if plan is not None:
            sampler.constraint = plan.start_constraint()
        names = plan.names if plan else None
        detokenizer = Detokenizer(vocabulary, shared.stops, scores=request.logprobs is not None, names=names)
        output = plan.start_output() if plan else PlainOutput()
        budget = self._prepared.budget[prompt]
        return _ChoiceState(
            number, prompt, sampler, detokenizer, output, plan, shared.ends, budget, echoes=request.echo
        )

    def _cut(self, choice: _ChoiceState) -> list[Event]:
        choice.is_cut = True
        self._echo_prompt(choice)
        return self._emit_choice(choice, self._close(choice, "length"))

    def _finish_without_tokens(self, choice: _ChoiceState) -> list[Event]:
        self._echo_prompt(choice)
        return self._emit_choice(choice, "length")

    def _echo_prompt(self, choice: _ChoiceState) -> None:
        """Add the prompt if it is to be echoed and has not been."""
        if choice.echoes:
            choice.echoes = False
            prepared = self._prepared.prompts[choice.prompt]
            choice.output.add(choice.detokenizer.echo(prepared.text, prepared.ids, self._scores.get(choice.prompt)))

    def _emit_choice(self, choice: _ChoiceState, reason: str | None) -> list[Event]:
        """Return the events of a choice's new output. `reason`: its finish reason, None if it continues."""
        choice.reason = reason
        self._unfinished -= reason is not None
        if not self._selects_best:
            events = self._events(choice.number, choice)
        else:
            events = self._best_candidates(choice.prompt) if reason is not None else []
        self.scheduled.credit -= sum(not isinstance(event, CREDIT_FREE_EVENTS) for event in events)
        if self.is_done:
            events.append(Done(self.usage))
        return events

    def _best_candidates(self, prompt: int) -> list[Event]:
        """Return the events of a prompt's best candidates if all its candidates are finished."""
        choices = self._choices_by_prompt[prompt]
        if not all(choice.reason for choice in choices):
            return []
        ranked = sorted(choices, key=lambda choice: -choice.mean_logprob)[: self._request.n]
        first = prompt * self._request.n
        best = (self._events(first + rank, one) for rank, one in enumerate(ranked))
        return [event for events in best for event in events]

    @staticmethod
    def _events(number: int, choice: _ChoiceState) -> list[Event]:
        events: list[Event] = [*choice.output.take(number, choice.generated - choice.sent_tokens)]
        if events:
            choice.sent_tokens = choice.generated
        if choice.reason is not None:
            events.append(ChoiceFinished(number, choice.reason, choice.is_cut, choice.detokenizer.stop))
        return events
