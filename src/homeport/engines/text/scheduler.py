"""What each step computes: all decoding candidates and a bounded slice of prefill, within batch, cells and ids.

`plan` → the engine's forward pass → `commit` (or `fail`). Plain policy over runs of token ids: knows no clock, no
text, no sampling and no executor beyond its cache. Promises, each under test: the oldest candidate that may step
always advances, so every request ends; a prompt prefix that several requests need at once is computed once; when
cells run out the youngest candidate gives way and is recomputed later, its tokens unchanged.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from homeport.engines.text import drafting
from homeport.engines.text.executor import ExecutorTraits
from homeport.engines.text.invariant import require, require_value
from homeport.engines.text.kv_cache import KVCache
from homeport.engines.text.prefix_sharing import should_wait_for_prefix
from homeport.engines.text.prompt_lookup import assumed_min_acceptance
from homeport.engines.text.scheduled_request import Candidate, ScheduledRequest
from homeport.engines.text.step_plan import LogitsRow, StepPlan, StepSlice
from homeport.engines.text.waiting_queue import WaitingQueue

HEADROOM = 8  # cells per running candidate left free at admission, lest it be pre-empted at once


@dataclass(slots=True)
class SchedulerCounters:
    """Counts since the start. `prefix_queries` and `prefix_hits` are prompt tokens, each prompt once."""

    prefix_queries: int = 0
    prefix_hits: int = 0
    prompt_tokens: int = 0
    preemptions: int = 0
    steps: int = 0
    drafted: int = 0  # tokens computed on a guess …
    accepted: int = 0  # … that came true

    def begin(self, prompt_length: int, found: int) -> None:
        """One more prompt, of which so many tokens were found computed."""
        self.prefix_queries += prompt_length
        self.prefix_hits += found
        self.prompt_tokens += prompt_length


def _ignore(_: Candidate) -> None:
    """Nobody listens."""


def _count_runnable(candidates: Iterable[Candidate]) -> int:
    """How many have credit: the others stand still."""
    return sum(one.group.credit > 0 for one in candidates)


def _choose_decoding(running: Sequence[Candidate], batch: int) -> list[Candidate]:
    """Candidates one token short of their next draw, at most a batch of them, oldest first."""
    ready = [one for one in running if one.pending == 1]
    # Where credit or the batch does not reach for all, those go first that waited longest.
    chosen: list[Candidate] = []
    for candidate in sorted(ready, key=lambda one: one.stepped):
        if len(chosen) < batch and candidate.group.may_step:
            chosen.append(candidate)
            candidate.group.planned_rows += 1
    for candidate in chosen:
        candidate.group.planned_rows -= 1  # counted when really taken
    return sorted(chosen, key=lambda one: one.turn)


class Scheduler:
    """The policy. `pace`: prompt tokens of a step, by streams and prompts there are; `score_rows`: prompt rows read.

    `pays`: how often a guess must come true to be worth computing, by streams there are.
    """

    def __init__(
        self,
        cache: KVCache,
        traits: ExecutorTraits,
        *,
        pace: Callable[[int, int], int],
        pays: Callable[[int], float] = assumed_min_acceptance,
        score_rows: int = 128,
    ) -> None:
        if score_rows < 1:
            raise ValueError("score_rows must be at least 1: a slice of nothing never ends")
        self._cache = cache
        self._traits = traits
        self._pace = pace
        self._pays = pays
        self._score_rows = score_rows
        self.on_started: Callable[[Candidate], None] = (
            _ignore  # told of each prompt that starts, as far as it was found
        )
        self._waiting = WaitingQueue()
        self._running: list[Candidate] = []
        self._plans, self._adapter = 0, ""
        self._counted: list[ScheduledRequest] = []  # whose `planned` is not zero
        self.counters = SchedulerCounters()

    @property
    def running(self) -> Sequence[Candidate]:
        """Candidates that hold a sequence."""
        return self._running

    @property
    def is_idle(self) -> bool:
        """Whether no candidate is left."""
        return not self._running and not len(self._waiting)

    def add(self, group: ScheduledRequest) -> None:
        """Queue a request's candidates."""
        self._waiting.add(group)

    def append(self, row: LogitsRow, tokens: Sequence[int]) -> None:
        """Go on from the tokens drawn at a row: all but the last repeat its draft, so they are computed already."""
        if row.draft:
            self.counters.drafted += len(row.draft)
            self.counters.accepted += len(tokens) - 1
        drafting.append_accepted(row, tokens, self._cache)

    def finish(self, candidate: Candidate) -> None:
        """A candidate's answer is complete; its KV may serve later prompts."""
        self._release(candidate)

    def remove(self, group: ScheduledRequest) -> None:
        """Drop a request, in whatever phase it is, and free what it holds."""
        self._waiting.remove_request(group)
        for candidate in [one for one in self._running if one.group is group]:
            self._release(candidate)

    def fail(self, plan: StepPlan) -> list[ScheduledRequest]:
        """The step's forward pass broke: drop all requests that were in it, with their KV, and say which."""
        self._cache.clear_reservations()
        groups = {part.candidate.group.id: part.candidate.group for part in plan.slices}
        self._cache.drop(part.candidate.slot for part in plan.slices if part.candidate.slot is not None)
        for part in plan.slices:
            self._running.remove(part.candidate)
            part.candidate.slot = None
        for group in groups.values():
            self.remove(group)
        return list(groups.values())

    def plan(self) -> StepPlan:
        """Decide what the next step computes, making room in the cache for it. No slices: nothing may step."""
        self._plans += 1
        if moved := self._cache.compact():
            next(one for one in self._running if one.slot == moved[0]).slot = moved[1]
        self._running.sort(key=lambda one: one.turn)
        for group in self._counted:
            group.planned_rows = 0
        self._counted.clear()
        plan = StepPlan(prefill=self._traits.batch, rows=self._score_rows)
        for candidate in _choose_decoding(self._running, self._traits.batch):
            if candidate.slot is not None:
                self._plan_tokens(plan, candidate)
        plan.decode = len(plan.slices)
        starting = min(_count_runnable(self._waiting), self._traits.sequences - len(self._running))
        prompts = _count_runnable(self._running) - plan.decode + starting
        plan.prefill = min(self._traits.batch - plan.decode, self._pace(plan.decode, prompts))
        self._plan_prefill(plan)
        plan.prompt = sum(part.stop - part.start for part in plan.slices) - plan.decode
        drafting.draft(plan, self._cache, self._traits, self._pays)
        if not plan.slices:  # the engine now rests until there is news: nobody may be left who needs none
            able = [one for one in (*self._running, *self._waiting) if one.group.may_step]
            require(not able, f"{len(able)} candidates may step and none was planned")
        self._adapter = plan.arrange(self._adapter)
        return plan

    def commit(self, plan: StepPlan) -> list[LogitsRow]:
        """Book a step that was computed; which rows of its logits to draw tokens from, and for whom."""
        self.counters.steps += 1
        for part in plan.slices:  # all before any fork, which needs to know what room is really left
            candidate = part.candidate
            slot = require_value(candidate.slot, "a planned candidate lost its sequence")
            self._cache.extend(slot, candidate.tokens[part.start : part.stop])
            candidate.computed = part.stop
            if candidate.scores_prompt:
                candidate.scored = max(candidate.scored, min(part.stop, candidate.prompt_length))
        self._cache.clear_reservations(sum(len(part.draft) for part in plan.slices))
        drawn: list[LogitsRow] = []
        rows = 0
        for part in plan.slices:
            candidate = part.candidate
            rows += len(part.rows)
            if candidate.pending == 0 and candidate.samples:
                index = rows - 1 - len(part.draft)
                drawn.append(LogitsRow(index, candidate, part.draft))
                if part.stop == candidate.prompt_length:
                    drawn += [LogitsRow(index, twin) for twin in self._start_twins(candidate)]
        return drawn

    def check_integrity(self) -> None:
        """Recount what the cache holds. Raises AssertionError where the books are wrong."""
        self._cache.check_integrity()
        for candidate in self._running:
            slot = require_value(candidate.slot, "running without a sequence")
            require(candidate.computed == self._cache.length(slot), "the KV is off")
        require(bool(self._running) or self._cache.running_cells == 0, "cells held by nobody")

    def _plan_tokens(self, plan: StepPlan, candidate: Candidate) -> int:
        """Put a candidate's next tokens into the plan, as many as budgets and cells allow; how many."""
        if not candidate.group.may_step:
            return 0
        wanted = min(candidate.pending, plan.prefill)
        if candidate.is_scoring:
            wanted = min(wanted, plan.rows)
        while wanted > 0 and not self._cache.reserve(wanted):
            if self._cache.available > 0:
                wanted = self._cache.available
            elif not self._preempt(plan, candidate):
                return 0
        if wanted <= 0:
            return 0
        start, stop = candidate.computed, candidate.computed + wanted
        slot = require_value(candidate.slot, "a candidate without a sequence is never planned")
        rows = candidate.rows(start, stop)
        plan.slices.append(StepSlice(candidate, start, stop, rows))
        plan.planned.add(slot)
        plan.prefill -= wanted
        if candidate.is_scoring:
            plan.rows -= wanted
        if stop == len(candidate.tokens):
            self._count(candidate.group)
        candidate.stepped = self._plans
        return wanted

    def _count(self, group: ScheduledRequest) -> None:
        """One more row that may become a delta of this request."""
        group.planned_rows += 1
        self._counted.append(group)

    def _preempt(self, plan: StepPlan, by: Candidate | None) -> bool:
        """Take the sequence of a candidate without credit, or else of the youngest one that is younger than `by`."""
        outside = [one for one in self._running if one.slot not in plan.planned and one is not by]
        victims = [one for one in outside if not one.group.credit > 0]
        if not victims and by is not None:
            victims = [one for one in outside if one.turn > by.turn]
        if not victims:
            return False
        victim = max(victims, key=lambda one: one.turn)
        self._release(victim)
        self._waiting.requeue(victim)
        self.counters.preemptions += 1
        return True

    def _release(self, candidate: Candidate) -> None:
        """Give back a running candidate's sequence."""
        self._running.remove(candidate)
        if candidate.slot is not None:
            self._cache.retire(candidate.slot)
        candidate.slot, candidate.computed = None, 0

    def _plan_prefill(self, plan: StepPlan) -> None:
        """Take on prompts, those under way and those waiting, in the order that is fair.

        Waiting ones start until one has to wait for cells or a sequence id. Among those under way are also streams
        whose credit went to a younger one that then found no room.
        """
        is_full = False
        under_way = [one for one in self._running if one.slot not in plan.planned]
        for candidate in self._waiting.in_order(under_way):
            if plan.prefill <= 0:
                return
            if candidate.slot is None:
                is_full = is_full or not self._admit(plan, candidate)
            if candidate.slot is not None:
                self._waiting.charge(candidate.group.fair_share_key, self._plan_tokens(plan, candidate))

    def _admit(self, plan: StepPlan, candidate: Candidate) -> bool:
        """Start a waiting candidate, or leave it be for now; False: nobody else may start before it."""
        if not candidate.is_waiting or not candidate.group.may_step:
            return True
        if should_wait_for_prefix(candidate, self._running, self._cache):
            return True
        while not self._start(candidate):
            if not self._preempt(plan, None):
                return False
        return True

    def _start(self, candidate: Candidate) -> bool:
        """Give a waiting candidate a sequence, begun with what is kept; False: there is no room now."""
        match = self._cache.match(candidate.group.namespace, candidate.tokens, candidate.reusable)
        if self._running:
            promised = sum(other.pending for other in self._running)
            reserve = promised + HEADROOM * len(self._running)
            if self._cache.running_cells + self._cache.cost(candidate.tokens, match) + reserve > self._traits.cells:
                return False
        slot = self._cache.allocate(candidate.group.namespace, match)
        if slot is None:
            return False
        self._activate(candidate, slot)
        return True

    def _activate(self, candidate: Candidate, slot: int) -> None:
        """A candidate leaves the waiting list with a sequence; count what it did not have to compute."""
        self._waiting.remove(candidate)
        self._running.append(candidate)
        candidate.slot, candidate.computed, candidate.awaited = slot, self._cache.length(slot), None
        if candidate.leader is None and not candidate.started:
            candidate.group.cached += candidate.computed
            self.counters.begin(candidate.prompt_length, candidate.computed)
            self.on_started(candidate)
        candidate.started = True

    def _start_twins(self, leader: Candidate) -> list[Candidate]:
        """Start the waiting candidates of a prompt just computed: its logits are theirs too, its KV is forked."""
        started: list[Candidate] = []
        slot = require_value(leader.slot, "a prompt was computed without a sequence")
        for twin in leader.group.candidates:
            has_begun = not twin.is_waiting or len(twin.tokens) > twin.prompt_length
            if has_begun or not twin.is_twin(leader) or not twin.group.may_step:
                continue
            target = self._cache.fork_active(slot)
            if target is None:
                break
            self._activate(twin, target)
            self._count(twin.group)
            twin.stepped = self._plans
            started.append(twin)
        return started
