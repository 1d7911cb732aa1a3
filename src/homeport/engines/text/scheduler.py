"""Decides what each step computes: all decoding candidates and a bounded slice of prefill, within batch, cells and ids.

`plan` → the engine's forward pass → `commit` (or `fail`). Plain policy over token ids: knows no clock, text, sampling,
or executor except its cache. Guarantees, each tested: the oldest candidate that may step always advances, so every
request ends; a prompt prefix that several requests need at once is computed once; when cells run out, the youngest
candidate is preempted and recomputed later, its tokens unchanged.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from homeport.engines.text.assertions import require, require_value
from homeport.engines.text.executor import ExecutorTraits
from homeport.engines.text.kv_cache import KVCache
from homeport.engines.text.prefix_tree import common_length
from homeport.engines.text.prompt_lookup import assumed_min_acceptance
from homeport.engines.text.scheduled_request import Candidate, ScheduledRequest
from homeport.engines.text.step_plan import LogitsRow, StepPlan, StepSlice
from homeport.engines.text.waiting_queue import WaitingQueue

HEADROOM = 8  # cells per running candidate left free at admission, so that none is preempted at once
MAX_FORCED = 32  # pending tokens of an answer up to which it is a stream: more are computed like a prompt's
MIN_SHARED_TOKENS = 16  # a candidate waits for another one's prefix only if it saves this many tokens
TILE = 4  # tokens that the kernels multiply together: a step of 5 to 7 costs about as much as one of 8


@dataclass(slots=True)
class SchedulerCounters:
    """Counts since the start. `prefix_queries` and `prefix_hits` count prompt tokens, each prompt once."""

    prefix_queries: int = 0
    prefix_hits: int = 0
    prompt_tokens: int = 0
    preemptions: int = 0
    steps: int = 0
    drafted: int = 0  # draft tokens computed …
    accepted: int = 0  # … and accepted

    def add_prompt(self, length: int, n_cached: int) -> None:
        """Count one more prompt, of which `n_cached` tokens were already computed."""
        self.prefix_queries += length
        self.prefix_hits += n_cached
        self.prompt_tokens += length


def _ignore(_: Candidate) -> None:
    """Do nothing."""


def _count_runnable(candidates: Iterable[Candidate]) -> int:
    """Count those that have credit."""
    return sum(one.request.credit > 0 for one in candidates)


def _choose_decoding(running: Sequence[Candidate], batch: int) -> list[Candidate]:
    """Return candidates with few tokens to compute before they sample, at most a batch of them, oldest first."""
    ready = [one for one in running if one.pending == 1 or (one.is_answering and one.pending <= MAX_FORCED)]
    # If credit or the batch is too small for all, those that waited longest come first.
    chosen: list[Candidate] = []
    for candidate in sorted(ready, key=lambda one: one.last_step):
        if len(chosen) < batch and candidate.request.may_step:
            chosen.append(candidate)
            candidate.request.planned_rows += 1
    for candidate in chosen:
        candidate.request.planned_rows -= 1  # counted once its tokens are planned
    return sorted(chosen, key=lambda one: one.arrival)


def _postpone(streams: Sequence[Candidate]) -> dict[Candidate, int]:
    """Return how many pending tokens of each stream to leave to a later step, so that the others fill whole tiles.

    A stream that keeps one samples nothing in this step, which costs less than the tokens beside whole tiles.
    """
    total = sum(one.pending for one in streams)
    surplus = total % TILE if total > TILE else 0
    postponed: dict[Candidate, int] = {}
    for one in sorted(streams, key=lambda each: -each.pending):
        if not surplus or one.pending == 1:
            break
        postponed[one] = min(surplus, one.pending - 1)
        surplus -= postponed[one]
    return postponed


class Scheduler:
    """Plans the steps of all requests. `score_rows`: rows of prompt logits that one step may read.

    `prefill_budget`: from the numbers of streams and prompts to the prompt tokens of a step.
    `min_acceptance`: from the number of streams to the acceptance from which a draft is worth computing.
    """

    def __init__(
        self,
        cache: KVCache,
        traits: ExecutorTraits,
        *,
        prefill_budget: Callable[[int, int], int],
        min_acceptance: Callable[[int], float] = assumed_min_acceptance,
        score_rows: int = 128,
    ) -> None:
        if score_rows < 1:
            raise ValueError("score_rows must be at least 1: an empty slice makes no progress")
        self._cache = cache
        self._traits = traits
        self._prefill_budget = prefill_budget
        self._min_acceptance = min_acceptance
        self._score_rows = score_rows
        self.on_started: Callable[[Candidate], None] = _ignore  # called when a prompt starts, with its cached prefix
        self._waiting = WaitingQueue()
        self._running: list[Candidate] = []
        self._step, self._adapter = 0, ""
        self._counted: list[ScheduledRequest] = []  # whose `planned_rows` is not zero
        self.counters = SchedulerCounters()

    @property
    def running(self) -> Sequence[Candidate]:
        """Candidates that hold a sequence."""
        return self._running

    @property
    def is_idle(self) -> bool:
        """Whether no candidate is left."""
        return not self._running and not len(self._waiting)

    def add(self, request: ScheduledRequest) -> None:
        """Queue a request's candidates."""
        self._waiting.add(request)

    def append(self, row: LogitsRow, tokens: Sequence[int], forced: Sequence[int] = ()) -> None:
        """Append the tokens sampled at a row to its candidate: all but the last repeat its draft, so are computed.

        `forced` come after them without having been sampled.
        """
        candidate, n_accepted = row.candidate, len(tokens) - 1
        if row.draft:
            if not row.is_forced:
                self.counters.drafted += len(row.draft)
                self.counters.accepted += n_accepted
                candidate.request.drafted += len(row.draft)
                candidate.request.accepted += n_accepted
            slot = require_value(candidate.slot, "a draft was computed without a sequence")
            self._cache.confirm(slot, row.draft[:n_accepted], len(row.draft))
            candidate.computed += n_accepted
        candidate.tokens += tokens
        candidate.tokens += forced
        if candidate.lookup is not None:
            for token in (*tokens, *forced):
                candidate.lookup.feed(token)

    def finish(self, candidate: Candidate) -> None:
        """Release a candidate whose answer is complete; later prompts may reuse its KV."""
        self._release(candidate)

    def remove(self, request: ScheduledRequest) -> None:
        """Drop a request, whatever its phase, and free what it holds."""
        self._waiting.remove_request(request)
        for candidate in [one for one in self._running if one.request is request]:
            self._release(candidate)

    def fail(self, plan: StepPlan) -> list[ScheduledRequest]:
        """Drop all requests of a step whose forward pass failed, with their KV, and return them."""
        self._cache.clear_reservations()
        requests = {part.candidate.request.id: part.candidate.request for part in plan.slices}
        self._cache.drop(part.candidate.slot for part in plan.slices if part.candidate.slot is not None)
        for part in plan.slices:
            self._running.remove(part.candidate)
            part.candidate.slot = None
        for request in requests.values():
            self.remove(request)
        return list(requests.values())

    def plan(self) -> StepPlan:
        """Decide what the next step computes and make room for it in the cache. No slices: nothing may step."""
        self._step += 1
        if moved := self._cache.compact():
            next(one for one in self._running if one.slot == moved[0]).slot = moved[1]
        self._running.sort(key=lambda one: one.arrival)
        for request in self._counted:
            request.planned_rows = 0
        self._counted.clear()
        plan = StepPlan(prefill=self._traits.batch, rows=self._score_rows)
        chosen = _choose_decoding(self._running, self._traits.batch)
        postponed = _postpone(chosen) if len(chosen) == len(self._running) and not len(self._waiting) else {}
        for candidate in chosen:
            if candidate.slot is not None:
                self._plan_tokens(plan, candidate, postponed.get(candidate, 0))
        plan.decode = len(plan.slices)
        starting = min(_count_runnable(self._waiting), self._traits.sequences - len(self._running))
        prompts = _count_runnable(self._running) - plan.decode + starting
        plan.prefill = min(plan.prefill, self._prefill_budget(plan.decode, prompts))
        self._plan_prefill(plan)
        plan.prompt = sum(part.stop - part.start for part in plan.slices) - plan.decode
        self._add_drafts(plan)
        if not plan.slices:  # the engine now waits for updates, so no candidate may be left that needs none
            able = [one for one in (*self._running, *self._waiting) if one.request.may_step]
            require(not able, f"{len(able)} candidates may step and none was planned")
        self._adapter = plan.arrange(self._adapter)
        return plan

    def commit(self, plan: StepPlan) -> list[LogitsRow]:
        """Record a computed step; return the rows of its logits to sample from, each with its candidate."""
        self.counters.steps += 1
        for part in plan.slices:  # all of them before any fork, which needs to know the room that is left
            candidate = part.candidate
            slot = require_value(candidate.slot, "a planned candidate lost its sequence")
            self._cache.extend(slot, candidate.tokens[part.start : part.stop])
            candidate.computed = part.stop
            if candidate.scores_prompt:
                candidate.scored = max(candidate.scored, min(part.stop, candidate.prompt_length))
        self._cache.clear_reservations(sum(len(part.draft) for part in plan.slices))
        sampled: list[LogitsRow] = []
        rows = 0
        for part in plan.slices:
            candidate = part.candidate
            rows += len(part.rows)
            if candidate.pending == 0 and candidate.samples:
                index = rows - 1 - len(part.draft)
                sampled.append(LogitsRow(index, candidate, part.draft, part.is_forced))
                if part.stop == candidate.prompt_length:
                    sampled += [LogitsRow(index, twin) for twin in self._start_twins(candidate)]
        return sampled

    def check_integrity(self) -> None:
        """Recount what the cache holds. Raises AssertionError if the counts are wrong."""
        self._cache.check_integrity()
        for candidate in self._running:
            slot = require_value(candidate.slot, "running without a sequence")
            require(candidate.computed == self._cache.length(slot), "the KV has another length than its candidate")
        require(bool(self._running) or self._cache.running_cells == 0, "cells are held by no candidate")

    def _plan_tokens(self, plan: StepPlan, candidate: Candidate, postponed: int = 0) -> int:
        """Plan a candidate's next tokens, as many as budgets and cells allow; return their number.

        `postponed`: how many of its pending ones are left to a later step.
        """
        if not candidate.request.may_step:
            return 0
        wanted = min(candidate.pending - postponed, plan.prefill)
        if candidate.is_scoring:
            wanted = min(wanted, plan.rows)
        if wanted > 0 and candidate.media:
            wanted = candidate.whole_blocks(wanted)
        while wanted > 0 and not self._cache.reserve(wanted):
            room = self._cache.available
            fitting = candidate.whole_blocks(room) if candidate.media else room
            if 0 < room >= fitting:
                wanted = fitting
            elif not self._preempt(plan, candidate):
                return 0
        if wanted <= 0:
            return 0
        start, stop = candidate.computed, candidate.computed + wanted
        slot = require_value(candidate.slot, "a candidate without a sequence was planned")
        rows = candidate.rows(start, stop)
        plan.slices.append(StepSlice(candidate, start, stop, rows))
        plan.planned.add(slot)
        plan.prefill -= wanted
        if candidate.is_scoring:
            plan.rows -= wanted
        if stop == len(candidate.tokens):
            self._count_row(candidate.request)
        candidate.last_step = self._step
        return wanted

    def _count_row(self, request: ScheduledRequest) -> None:
        """Count one more row that may become a delta of this request."""
        request.planned_rows += 1
        self._counted.append(request)

    def _add_drafts(self, plan: StepPlan) -> None:
        """Add drafts after the last tokens of candidates, in room that nothing else needs; none is preempted for it."""
        total = sum(part.stop - part.start for part in plan.slices)
        threshold = self._min_acceptance(max(plan.decode, 1))
        for index, part in enumerate(plan.slices):
            candidate = part.candidate
            if part.stop < len(candidate.tokens) or candidate.is_scoring:
                continue
            room = min(self._traits.batch - total, self._traits.window - part.stop)
            request = candidate.request
            if request.quota is not None:
                room = min(room, request.quota - request.planned_rows)
            draft = self._draft(candidate, room, threshold, total)
            if draft and self._cache.reserve(len(draft)):
                rows = range(part.rows.start, part.stop + len(draft))
                plan.slices[index] = StepSlice(candidate, part.start, part.stop, rows, draft, bool(candidate.forced))
                total += len(draft)
                request.planned_rows += len(draft) if request.quota is not None else 0
                plan.drafted += len(draft)

    def _draft(self, candidate: Candidate, room: int, threshold: float, total: int) -> tuple[int, ...]:
        """Return at most `room` draft tokens: all that certainly come next, else those worth computing.

        `total`: the tokens of the step so far.
        """
        if candidate.forced:
            return candidate.forced[: max(0, room)] if self._traits.can_trim else ()
        if candidate.lookup is None:
            return ()
        draft = candidate.lookup.draft(room, threshold)
        return draft[: max(0, len(draft) - (total + len(draft)) % TILE)]

    def _preempt(self, plan: StepPlan, by: Candidate | None) -> bool:
        """Take the slot of a candidate without credit, or else of the youngest one that is younger than `by`."""
        unplanned = [one for one in self._running if one.slot not in plan.planned and one is not by]
        victims = [one for one in unplanned if not one.request.credit > 0]
        if not victims and by is not None:
            victims = [one for one in unplanned if one.arrival > by.arrival]
        if not victims:
            return False
        victim = max(victims, key=lambda one: one.arrival)
        self._release(victim)
        self._waiting.requeue(victim)
        self.counters.preemptions += 1
        return True

    def _release(self, candidate: Candidate) -> None:
        """Return a running candidate's slot to the cache."""
        self._running.remove(candidate)
        if candidate.slot is not None:
            self._cache.retire(candidate.slot)
        candidate.slot, candidate.computed = None, 0

    def _plan_prefill(self, plan: StepPlan) -> None:
        """Plan prompt tokens of running and waiting candidates, in fair order.

        Waiting ones start until one has to wait for cells or a slot. The running ones include streams whose credit
        went to a younger one that then found no room.
        """
        is_full = False
        unplanned = [one for one in self._running if one.slot not in plan.planned]
        for candidate in self._waiting.in_order(unplanned):
            if plan.prefill <= 0:
                return
            if candidate.slot is None:
                is_full = is_full or not self._admit(plan, candidate)
            if candidate.slot is not None:
                self._waiting.charge(candidate.request.fair_share_key, self._plan_tokens(plan, candidate))

    def _admit(self, plan: StepPlan, candidate: Candidate) -> bool:
        """Start a waiting candidate, or skip it for now; False: no other candidate may start before it."""
        if not candidate.is_waiting or not candidate.request.may_step:
            return True
        if self._should_wait_for_prefix(candidate):
            return True
        while not self._start(candidate):
            if not self._preempt(plan, None):
                return False
        return True

    def _should_wait_for_prefix(self, candidate: Candidate) -> bool:
        """Return whether a running candidate will compute a longer prefix of this prompt than the cache has now.

        It is certain to: it holds a slot and has credit. When it loses either, the decision is made again.
        """
        leader = candidate.leader
        if leader is not None and (leader.is_scoring or not leader.started):
            return True  # its answer begins with the scored prompt, and only the leader counts cached tokens
        awaited = candidate.awaited
        if awaited is not None and awaited.will_reach(candidate.awaited_length):
            return True
        candidate.awaited = None
        if not self._cache.can_fork:
            return False
        match = self._cache.match(candidate.request.namespace, candidate.tokens, candidate.reusable)
        cached = match.length if match else 0
        for other in self._running:
            if other.request.namespace != candidate.request.namespace or not other.will_reach(other.prompt_length):
                continue
            # A twin takes over the whole prompt with its last logits; others recompute at least one token.
            takes_all = candidate.is_twin(other) and not candidate.is_scoring
            limit = candidate.prompt_length if takes_all else min(candidate.reusable, other.prompt_length)
            shared = common_length(candidate.tokens, other.tokens, limit)
            if other.will_reach(shared) and (takes_all or shared - cached >= MIN_SHARED_TOKENS):
                candidate.awaited, candidate.awaited_length = other, shared
                return True
        return False

    def _start(self, candidate: Candidate) -> bool:
        """Give a waiting candidate a slot that begins with its cached prefix; False: there is no room now."""
        match = self._cache.match(candidate.request.namespace, candidate.tokens, candidate.reusable)
        if self._running:
            pending = sum(other.pending for other in self._running)
            reserve = pending + HEADROOM * len(self._running)
            if self._cache.running_cells + self._cache.cost(candidate.tokens, match) + reserve > self._traits.cells:
                return False
        slot = self._cache.allocate(candidate.request.namespace, match)
        if slot is None:
            return False
        self._activate(candidate, slot)
        return True

    def _activate(self, candidate: Candidate, slot: int) -> None:
        """Move a candidate from the waiting queue to the running ones; count its cached tokens."""
        self._waiting.remove(candidate)
        self._running.append(candidate)
        candidate.slot, candidate.computed, candidate.awaited = slot, self._cache.length(slot), None
        if candidate.leader is None and not candidate.started:
            candidate.request.cached += candidate.computed
            self.counters.add_prompt(candidate.prompt_length, candidate.computed)
            self.on_started(candidate)
        candidate.started = True

    def _start_twins(self, leader: Candidate) -> list[Candidate]:
        """Start the other candidates of a prompt just computed: they share its logits, and its KV is forked."""
        started: list[Candidate] = []
        slot = require_value(leader.slot, "a prompt was computed without a sequence")
        for twin in leader.request.candidates:
            has_begun = not twin.is_waiting or len(twin.tokens) > twin.prompt_length
            if has_begun or not twin.is_twin(leader) or not twin.request.may_step:
                continue
            target = self._cache.fork_active(slot)
            if target is None:
                break
            self._activate(twin, target)
            self._count_row(twin.request)
            twin.last_step = self._step
            started.append(twin)
        return started
