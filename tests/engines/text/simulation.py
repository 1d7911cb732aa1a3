"""Runs a scheduler on the fake executor without threads or text: requests in, token ids out."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from homeport.engines.text.executor import ExecutorTraits, Logits
from homeport.engines.text.kv_cache import KVCache
from homeport.engines.text.media.blocks import MediaBlock, PlacedBlock
from homeport.engines.text.prefill_budget import PrefillBudget
from homeport.engines.text.prompt_lookup import LookupSource, PromptLookup
from homeport.engines.text.scheduled_request import ScheduledRequest
from homeport.engines.text.scheduler import Scheduler
from homeport.engines.text.step_plan import LogitsRow, StepPlan
from tests.engines.text.fake_executor import FakeExecutor, media_rows

ADAPTERS = ("red", "blue")


def traits(
    *,
    window: int = 512,
    cells: int = 512,
    sequences: int = 8,
    batch: int = 64,
    shares_cells: bool = True,
    can_trim: bool = True,
    kv_format: str = "",
) -> ExecutorTraits:
    """Return an executor's traits, small by default."""
    return ExecutorTraits(
        *(window, cells, sequences, batch, shares_cells, can_trim, kv_format),
        adapters=True,
        media=True,
    )


def end_of_media(tokens: Sequence[int], start: int) -> int:
    """Return the index after the negative ids that follow `start`."""
    return next((at for at in range(start, len(tokens)) if tokens[at] >= 0), len(tokens))


def place_blocks(prompt: Sequence[int], *, is_causal: bool) -> list[PlacedBlock]:
    """Return a block for each run of negative ids in a prompt."""
    placed, start = [], 0
    while start < len(prompt):
        stop = end_of_media(prompt, start)
        if stop > start:
            size = stop - start
            block = MediaBlock(tuple(prompt[start:stop]), size, is_causal, rows=media_rows(size))
            placed.append(PlacedBlock(start, block))
        start = stop + 1
    return placed


def choose(row: Logits, choice: int) -> int:
    """Choose another likely token for each choice, so that candidates differ."""
    return int(np.argsort(row)[-1 - choice % 3])


def alone(executor: FakeExecutor, prompt: list[int], choice: int, n: int, adapter: str = "") -> list[int]:
    """Return the `n` tokens that a prompt gets without cache, batching or other requests."""
    tokens = list(prompt)
    for _ in range(n):
        tokens.append(choose(executor.next_logits(tokens, adapter), choice))
    return tokens[len(prompt) :]


@dataclass
class Ask:
    """One simulated request: its prompts, the number of candidates of each, and the length of each answer.

    `forced`: how many tokens follow each run of sampled ones without being sampled. Negative ids in prompts are media;
    `is_causal` False: each of its blocks is computed at once.
    """

    prompts: list[list[int]]
    candidates: int = 1
    length: int = 4
    project: str = "local"
    scores: bool = False
    credit: int = 1_000_000
    adapter: str = ""
    copies: list[int] | None = None  # the source of drafts; empty: the prompt
    forced: int = 0
    is_causal: bool = True


@dataclass
class Simulation:
    """Runs a scheduler with greedy sampling. `answers[request, prompt, candidate]` are the finished token ids."""

    traits: ExecutorTraits
    prefill_slice: int = 16
    score_rows: int = 16
    retain: int | None = None
    requests: dict[int, ScheduledRequest] = field(default_factory=dict)
    asks: dict[int, Ask] = field(default_factory=dict)
    answers: dict[tuple[int, int, int], list[int]] = field(default_factory=dict)
    scores: dict[tuple[int, int, int], Logits] = field(default_factory=dict)  # (request, prompt, position) -> row

    def __post_init__(self) -> None:
        """Build executor, cache and scheduler."""
        self.executor = FakeExecutor(self.traits)
        for adapter in ADAPTERS:
            self.executor.load_adapter(adapter, Path(os.devnull))
        self.cache = KVCache(
            self.executor, retain=self.retain, kind=lambda name: name[0] if isinstance(name, tuple) else name
        )
        budget = PrefillBudget(self.traits.batch, fixed=self.prefill_slice)
        self.scheduler = Scheduler(
            self.cache,
            self.traits,
            prefill_budget=budget.tokens_for_step,
            score_rows=self.score_rows,
        )

    def ask(self, ask: Ask) -> ScheduledRequest:
        """Add a request."""
        namespace = (ask.adapter, ask.project)
        request = ScheduledRequest(len(self.requests), namespace, ask.project, ask.credit, adapter=ask.adapter)
        for prompt, tokens in enumerate(ask.prompts):
            media = place_blocks(tokens, is_causal=ask.is_causal)
            for _ in range(ask.candidates):
                one = request.add_candidate(prompt, tokens, scores=ask.scores, media=media)
                if ask.copies is not None and self.traits.can_trim:
                    one.lookup = PromptLookup(
                        LookupSource(ask.copies or tokens, is_likely=bool(ask.copies)), ask.length
                    )
        self.requests[request.id] = request
        self.asks[request.id] = ask
        self.scheduler.add(request)
        return request

    def step(self) -> StepPlan:
        """Plan, compute, sample, and check the counts."""
        plan = self.scheduler.plan()
        if not plan.slices:
            self.scheduler.check_integrity()
            return plan
        logits = np.concatenate([self.executor.forward(batch) for batch in plan.token_batches()])
        self._keep_scores(plan, logits)
        sampled = self.scheduler.commit(plan)
        for row in sampled:
            self._sample(row, logits)
        assert self.executor.cells_used == self.cache.cells
        self.scheduler.check_integrity()
        return plan

    def run(self, limit: int = 5_000) -> int:
        """Step until nothing is left; fails after more than `limit` steps. Returns the number of steps."""
        for steps in range(limit):
            if self.scheduler.is_idle:
                return steps
            self.step()
        raise AssertionError(f"not finished after {limit} steps")

    def check_answers(self) -> None:
        """Check that every answer has exactly the tokens that the prompt gets alone."""
        for (request, prompt, candidate), answer in self.answers.items():
            ask = self.asks[request]
            assert answer == alone(self.executor, ask.prompts[prompt], candidate, ask.length, ask.adapter)

    def _keep_scores(self, plan: StepPlan, logits: Logits) -> None:
        index = 0
        for part in plan.slices:
            one = part.candidate
            for position in part.rows:
                if one.scores_prompt and position < one.prompt_length:
                    self.scores[one.request.id, one.prompt, position] = logits[index].copy()
                index += 1

    def _sample(self, row: LogitsRow, logits: Logits) -> None:
        one = row.candidate
        ask = self.asks[one.request.id]
        choice = [other for other in one.request.candidates if other.prompt == one.prompt].index(one)
        run = [choose(logits[row.index], choice)]
        for depth, token in enumerate(row.draft, 1):
            if run[-1] != token:
                break
            run.append(choose(logits[row.index + depth], choice))
        answer = [*one.tokens[one.prompt_length :], *run][: ask.length]
        prompt, known = one.tokens[: one.prompt_length], len(one.tokens) - one.prompt_length
        n_forced = min(ask.forced, ask.length - len(answer))
        forced = alone(self.executor, [*prompt, *answer], choice, n_forced, ask.adapter)
        self.scheduler.append(row, answer[known:], forced)
        answer += forced
        one.request.credit -= 1  # the tokens of a step are one delta
        assert one.request.credit >= 0, "stepped without credit"
        if len(answer) == ask.length:
            self.answers[one.request.id, one.prompt, choice] = answer
            self.scheduler.finish(one)
