"""The text engine: requests in, events out, one forward pass per step for all of them.

Threads: `run` owns the step thread, which alone touches scheduler, answers and the executor's KV; the intake has two
that prepare requests; everything else may be called from any thread and never blocks. Knows nothing of processes,
links or HTTP.
"""

import logging
import os
import time
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np

import homeport
from homeport.domain.errors import (
    EngineFailed,
    ErrorInfo,
    HomeportError,
    InvalidRequest,
    Unavailable,
)
from homeport.domain.events import Event, Failed, Usage
from homeport.domain.models import EngineStats, LoadedModel
from homeport.domain.ports.engine import EmitEvents, Engine
from homeport.domain.text import TextRequest, TokenRequest
from homeport.domain.worker_messages import EngineRequest, EngineSpec
from homeport.engines.text.adapters import AdapterCache
from homeport.engines.text.batch_builder import assemble
from homeport.engines.text.executor import Executor, Logits
from homeport.engines.text.kv_cache import KVCache
from homeport.engines.text.logprobs import TokenScore, score
from homeport.engines.text.options import TextOptions, build_executor
from homeport.engines.text.output_processor import OutputProcessor
from homeport.engines.text.prefill_budget import PrefillBudget
from homeport.engines.text.prefix_persistence import PrefixPersistence
from homeport.engines.text.prefix_store import PrefixStore
from homeport.engines.text.prompt_processor import PromptProcessor
from homeport.engines.text.request_queue import PreparedRequest, QueueUpdates, RequestQueue
from homeport.engines.text.scheduled_request import ScheduledRequest
from homeport.engines.text.scheduler import Scheduler, SchedulerCounters
from homeport.engines.text.step_costs import CostFile
from homeport.engines.text.step_plan import LogitsRow, StepPlan
from homeport.engines.text.tokenize_requests import RequestPreparer
from homeport.engines.text.verification import sample_runs, score_runs

SCORED_LOGITS = 1 << 24  # floats of prompt logits held at a time: 64 MB

logger = logging.getLogger("homeport.text")


def load(job: EngineSpec) -> Engine:
    """Load the model a job names. Raises Unavailable where it does not load or an option is wrong."""
    options = TextOptions.read(job.options)
    return build_engine(job, options, build_executor(job, options))


def build_engine(job: EngineSpec, options: TextOptions, executor: Executor) -> Engine:
    """Build the engine of a job on an executor, which it owns. Raises Unavailable where a folder cannot be used."""
    file = (
        CostFile(Path(options.costs), f"{job.digest} {executor.kernels} {options.threads}") if options.costs else None
    )
    try:
        return TextEngine(job.model, executor, options, file, _open_prefix_store(job, executor, options))
    except BaseException:
        executor.close()
        raise


def _open_prefix_store(job: EngineSpec, executor: Executor, options: TextOptions) -> PrefixStore | None:
    """Where prefixes are kept on disk; None: nowhere."""
    form = executor.traits.kv_format
    if options.prefixes is None or not options.prefix_bytes:
        return None
    if not form or not executor.traits.can_trim or not options.retained_cells(executor.traits):
        logger.warning("no prefixes are kept on disk: %s", "none are kept in memory" if form else "it cannot be saved")
        return None
    identity = f"{job.digest} | {executor.kernels} | {form} | homeport {homeport.__version__}"
    try:
        return PrefixStore(Path(options.prefixes), identity, options.prefix_bytes)
    except OSError as error:
        raise Unavailable(f"The prefix cache {options.prefixes} cannot be used: {error.strerror}.") from error


def _seed(request: TextRequest) -> int:
    given = request.sampling.seed
    return int.from_bytes(os.urandom(8), "little") if given is None else given


def _adapter_of(namespace: Hashable) -> Hashable:
    """The part of a namespace that decides which sequences are computed together."""
    return namespace[0] if isinstance(namespace, tuple) else namespace


class TextEngine:
    """One loaded model. Fulfils `domain.ports.Engine`; takes ownership of the executor."""

    def __init__(
        self,
        model: str,
        executor: Executor,
        options: TextOptions,
        costs: CostFile | None = None,
        shelf: PrefixStore | None = None,
    ) -> None:
        traits, self._vocabulary = executor.traits, executor.vocabulary
        window = min(traits.window, traits.cells)
        self._preparer = preparer = PromptProcessor(executor, window, speculates=options.speculate and traits.can_trim)
        self._executor = executor
        self._shares_prefixes = options.share_prefixes
        self._loaded = LoadedModel(
            model=model,
            window=window,
            kernels=executor.kernels,
            device="cpu",
        )
        self._cache = KVCache(executor, retain=options.retained_cells(traits), kind=_adapter_of)
        score_rows = max(1, SCORED_LOGITS // self._vocabulary.size)
        known, keep = (costs.read(), costs.write) if costs else (None, None)
        self._pace = PrefillBudget(traits.batch, fixed=options.prefill_slice, costs=known, keep=keep)
        self._intake = RequestQueue(RequestPreparer(executor, preparer).prepare)
        most = min(window, options.retained_cells(traits))
        self._shelf = shelf
        self._keeping = (
            PrefixPersistence(self._cache, executor, shelf, most=most, tell=self._intake.add_loaded_prefix)
            if shelf is not None
            else None
        )
        self._adapters = AdapterCache(executor, is_possible=traits.adapters)
        self._scheduler = Scheduler(
            self._cache, traits, pace=self._prefill_budget, pays=self._pace.min_acceptance, score_rows=score_rows
        )
        if self._keeping is not None:
            self._scheduler.on_started = self._keeping.on_prefix_hit
        self._answers: dict[int, OutputProcessor] = {}
        self._generated = 0
        self._gauges = EngineStats(cells=traits.cells)
        self._step_began: float | None = None

    @property
    def loaded(self) -> LoadedModel:
        """Facts about the loaded model."""
        return self._loaded

    def open(self, id: int, request: EngineRequest, credit: int) -> None:
        """Take a request; an id that is under way is ignored. Raises InvalidRequest for one of another kind."""
        if not isinstance(request, TextRequest | TokenRequest):
            raise InvalidRequest(f"{self._loaded.model} cannot be used for this.", param="model")
        self._intake.open(id, request, credit)

    def credit(self, id: int, n: int) -> None:
        """Allow `n` more deltas."""
        self._intake.credit(id, n)

    def grant(self, id: int, n: int) -> None:
        """Allow `n` more tokens, 0 for no more at all."""
        self._intake.grant(id, n)

    def cancel(self, id: int) -> None:
        """Drop a request and free what it holds before the next step."""
        self._intake.cancel(id)

    def stats(self) -> EngineStats:
        """How it stands now."""
        now, began = self._gauges, self._step_began
        stalled = 0.0 if began is None else time.monotonic() - began
        return msgspec.structs.replace(now, waiting=now.waiting + self._intake.waiting, stalled_s=stalled)

    def close(self) -> None:
        """Make `run` return after the step under way."""
        self._intake.close()

    def run(self, emit: EmitEvents) -> None:
        """Work until `close`. A bug of ours fails every open request, then ends this thread with its exception."""
        self._intake.start()
        if self._shelf is not None:
            self._shelf.start()
        rests = True
        try:
            while (news := self._intake.take_updates(wait=rests)) is not None:
                self._step_began = time.monotonic()
                if told := self._apply_updates(news):
                    self._measure()  # whoever hears that all have ended may look at the gauges
                    emit(told)  # at once: the first step of a long prompt takes long
                events = self._step()
                self._measure()
                self._step_began = None
                rests = events is None
                if self._keeping is not None and self._keeping.copy_one(rests=rests):
                    rests = False  # there may be more to copy
                if events:
                    emit(events)
            while self._keeping is not None and self._keeping.copy_one(rests=True):
                pass  # what is due is kept before the end
        except BaseException:
            fault = EngineFailed("The engine broke down because of an internal error.").info
            emit([(id, Failed(fault, _usage(self._answers.get(id)))) for id in self._intake.open_ids()])
            raise
        finally:
            self._intake.close()
            self._intake.join()
            self._preparer.close()
            if self._shelf is not None:
                self._shelf.close()
            self._executor.close()

    def _apply_updates(self, news: QueueUpdates) -> list[tuple[int, Event]]:
        """Act on what the intake brought."""
        events = news.ended()
        for arrival in news.prepared:
            events += self._admit(arrival)
        for name, state in news.loaded_prefixes:
            for group in self._keeping.on_loaded(name, state) if self._keeping else ():
                if group.id in self._answers:  # nobody left meanwhile
                    self._scheduler.add(group)
        for id, n in news.credits:
            if id in self._answers:
                self._answers[id].group.credit += n
        for id, n in news.grants:
            if id in self._answers:
                self._answers[id].grant(n)
                events += self._settle(id)
        for id in news.cancels:
            if id in self._answers:
                self._scheduler.remove(self._answers[id].group)
                self._end(id)
        return events

    def _admit(self, arrival: PreparedRequest) -> list[tuple[int, Event]]:
        request = arrival.request
        try:
            adapter = self._adapters.acquire(request.adapter)
        except HomeportError as error:
            self._intake.forget(arrival.id)
            return [(arrival.id, Failed(error.info))]
        namespace = (adapter,) if self._shares_prefixes else (adapter, request.project)
        group = ScheduledRequest(
            arrival.id, namespace, request.project, arrival.credit, adapter=adapter, background=request.is_background
        )
        answer = OutputProcessor(arrival, group, self._vocabulary, seed=_seed(request))
        self._answers[arrival.id] = answer
        self._executor.prepare_length(max((len(one.tokens) for one in group.candidates), default=0))
        if self._keeping is None or not self._keeping.wait_for_stored_prefix(group):
            self._scheduler.add(group)
        return [*((answer.id, event) for event in (answer.admitted_event(), *answer.start())), *self._settle(answer.id)]

    def _step(self) -> list[tuple[int, Event]] | None:
        """One step for everybody; None where nothing may step until there is news."""
        plan = self._scheduler.plan()
        if not plan.slices:
            self._scheduler.check_integrity()
            return None
        try:
            logits = self._forward(plan)
            rows = self._scheduler.commit(plan)
            runs, scores = _drawn(logits, rows, self._answers)
        except EngineFailed as error:
            logger.exception("a step of %d sequences failed", len(plan.slices))
            return self._fail(plan, error.info)
        events = self._score_prompts(plan, logits)
        for row, run, found in zip(rows, runs, scores, strict=True):
            answer = self._answers[row.candidate.group.id]
            told, taken = answer.add_tokens(row.candidate, run, found)
            events += [(answer.id, event) for event in told]
            self._generated += taken
            self._scheduler.append(row, run[:taken])
            if answer.is_finished(row.candidate):
                self._scheduler.finish(row.candidate)
        for id in {row.candidate.group.id for row in rows} | {part.candidate.group.id for part in plan.slices}:
            events += self._settle(id)
        return events

    def _settle(self, id: int) -> list[tuple[int, Event]]:
        """After a request's step: see to its quota, and end it where it is done."""
        answer = self._answers[id]
        events = answer.check_quota()
        if answer.is_done:
            if events:  # the quota was used up while candidates were under way
                self._scheduler.remove(answer.group)
            self._end(id)
        return [(id, event) for event in events]

    def _prefill_budget(self, decode: int, prompts: int) -> int:
        """Prompt tokens of a step; few where all that may go on is in the background, lest who comes waits long."""
        groups = (answer.group for answer in self._answers.values())
        if all(group.background for group in groups if group.credit > 0):
            return self._pace.background_tokens(decode)
        return self._pace.tokens_for_step(decode, prompts)

    def _forward(self, plan: StepPlan) -> Logits:
        batches = assemble(plan)
        if len(batches) > 1:  # costs more than one of that size would, so nothing is learnt of it
            return np.concatenate([self._executor.forward(batch).copy() for batch in batches])
        began = time.monotonic()
        logits = self._executor.forward(batches[0])
        self._pace.observe(plan.decode, plan.prompt, time.monotonic() - began, drafted=plan.drafted)
        return logits

    def _score_prompts(self, plan: StepPlan, logits: Logits) -> list[tuple[int, Event]]:
        """Score the prompt tokens that this step's rows foretell; complete those requests that wanted only that."""
        events: list[tuple[int, Event]] = []
        first = 0
        for part in plan.slices:
            candidate = part.candidate
            answer = self._answers[candidate.group.id]
            if candidate.scores_prompt:
                known = candidate.tokens[: candidate.prompt_length]
                targets = [known[position + 1] for position in part.rows if position + 1 < len(known)]
                found = score(logits[first : first + len(targets)], targets, [answer.top] * len(targets))
                answer.add_prompt_scores(candidate.prompt, part.start + 1, found)
            if not candidate.samples and not candidate.pending:
                events += [(answer.id, event) for event in answer.finish_without_tokens(candidate.prompt)]
                self._scheduler.finish(candidate)
            first += len(part.rows)
        return events

    def _fail(self, plan: StepPlan, fault: ErrorInfo) -> list[tuple[int, Event]]:
        """End every request that took part in a step that broke."""
        events: list[tuple[int, Event]] = []
        for group in self._scheduler.fail(plan):
            events.append((group.id, Failed(fault, self._answers[group.id].usage)))
            self._end(group.id)
        return events

    def _end(self, id: int) -> None:
        self._adapters.release(self._answers.pop(id).group.adapter)
        self._intake.forget(id)

    def _measure(self) -> None:
        running = {candidate.group.id for candidate in self._scheduler.running}
        self._gauges = msgspec.structs.replace(
            _counter_stats(self._scheduler.counters, self._keeping),
            running=len(running),
            waiting=len(self._answers) - len(running),
            cells_used=self._cache.running_cells,
            cells=self._executor.traits.cells,
            generated_tokens=self._generated,
        )


def _usage(answer: OutputProcessor | None) -> Usage:
    return answer.usage if answer else Usage()


def _drawn(
    logits: Logits, rows: Sequence[LogitsRow], known: Mapping[int, OutputProcessor]
) -> tuple[list[list[int]], list[list[TokenScore | None]]]:
    """The tokens that each row draws, and their log-probabilities where the request needs them."""
    answers = [known[row.candidate.group.id] for row in rows]
    draws = [answer.sampler_of(row.candidate) for answer, row in zip(answers, rows, strict=True)]
    runs = sample_runs(logits, rows, draws)
    return runs, score_runs(logits, rows, runs, [answer.top if answer.wants_scores else None for answer in answers])


def _counter_stats(counters: SchedulerCounters, keeping: PrefixPersistence | None) -> EngineStats:
    """The gauges that only grow."""
    return EngineStats(
        prefix_queries=counters.prefix_queries,
        prefix_hits=counters.prefix_hits,
        prompt_tokens=counters.prompt_tokens,
        preemptions=counters.preemptions,
        steps=counters.steps,
        drafted_tokens=counters.drafted,
        accepted_tokens=counters.accepted,
        disk_queries=keeping.queries if keeping else 0,
        disk_hits=keeping.hits if keeping else 0,
    )
