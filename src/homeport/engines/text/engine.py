"""The text engine: requests in, events out, one forward pass per step for all of them.

Threads: `run` is the step thread, which alone uses the scheduler, the output processors and the executor's KV. The
request queue has two threads that prepare requests. All other methods may be called from any thread and never block.
Knows nothing of processes, links or HTTP.
"""

import logging
import os
import time
from collections.abc import Hashable, Sequence
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
from homeport.domain.models import CPU, PROJECTOR, EngineStats, LoadedModel
from homeport.domain.ports.engine import EmitEvents, Engine
from homeport.domain.text import TextRequest, TokenRequest
from homeport.domain.worker_messages import EngineRequest, EngineSpec
from homeport.engines.processors import cores
from homeport.engines.text.adapter_cache import AdapterCache
from homeport.engines.text.executor import Executor, Logits
from homeport.engines.text.kv_cache import KVCache
from homeport.engines.text.logprobs import TokenScore, score, score_runs
from homeport.engines.text.media.encoder import EncoderFiles, MediaEncoder, MediaReader
from homeport.engines.text.options import TextOptions, build_executor
from homeport.engines.text.output_processor import OutputProcessor
from homeport.engines.text.prefill_budget import CostFile, PrefillBudget
from homeport.engines.text.prefix_disk_store import PrefixDiskStore
from homeport.engines.text.prefix_persistence import PrefixPersistence
from homeport.engines.text.prompt_processor import PromptProcessor
from homeport.engines.text.request_queue import PreparedRequest, QueueUpdates, RequestQueue
from homeport.engines.text.sampling import sample_runs
from homeport.engines.text.scheduled_request import ScheduledRequest
from homeport.engines.text.scheduler import Scheduler
from homeport.engines.text.step_plan import LogitsRow, StepPlan
from homeport.engines.text.tokenize_requests import RequestPreparer

MAX_SCORED_LOGITS = 1 << 24  # floats of prompt logits held at a time: 64 MB

logger = logging.getLogger("homeport.text")


def load(spec: EngineSpec) -> Engine:
    """Load the model that a spec names. Raises Unavailable if it does not load or an option is invalid."""
    options = TextOptions.read(spec.options)
    return build_engine(spec, options, build_executor(spec, options))


def build_engine(spec: EngineSpec, options: TextOptions, executor: Executor) -> Engine:
    """Build the engine of a spec on an executor, which it then owns. Raises Unavailable if a folder cannot be used."""
    machine = f"{spec.digest} {executor.kernels} {executor.traits.device} {options.threads} {options.prompts}"
    costs = CostFile(Path(options.costs), machine) if options.costs else None
    try:
        prefix_store = _open_prefix_store(spec, executor, options)
        return TextEngine(spec.model, executor, options, costs, prefix_store, _media_reader(spec, executor, options))
    except BaseException:
        executor.close()
        raise


def _media_reader(spec: EngineSpec, executor: Executor, options: TextOptions) -> MediaReader | None:
    """Return what reads pictures with the model's projector; None if it has none."""
    paths = spec.paths
    if PROJECTOR not in paths or not executor.traits.media:
        return None
    files = EncoderFiles(paths["weights"], paths[PROJECTOR], options.threads or cores())
    return MediaEncoder(files, executor.traits.media_width)


def _open_prefix_store(spec: EngineSpec, executor: Executor, options: TextOptions) -> PrefixDiskStore | None:
    """Open the store of prefixes on disk; None if there is none."""
    kv_format = executor.traits.kv_format
    if options.prefixes is None or not options.prefix_bytes:
        return None
    if not kv_format or not executor.traits.can_trim or not options.retained_cells(executor.traits):
        reason = "none are retained in memory" if kv_format else "this model's KV cannot be saved"
        logger.warning("prefixes are not stored on disk: %s", reason)
        return None
    device = executor.traits.device
    where = executor.kernels if device == CPU else f"{executor.kernels} | {device}"
    identity = f"{spec.digest} | {where} | {kv_format} | homeport {homeport.__version__}"
    try:
        return PrefixDiskStore(Path(options.prefixes), identity, options.prefix_bytes)
    except OSError as error:
        raise Unavailable(f"The prefix cache {options.prefixes} cannot be used: {error.strerror}.") from error


def _choose_seed(request: TextRequest) -> int:
    seed = request.sampling.seed
    return int.from_bytes(os.urandom(8), "little") if seed is None else seed


def _adapter_of(namespace: Hashable) -> Hashable:
    """Return the part of a namespace that decides which sequences are computed together."""
    return namespace[0] if isinstance(namespace, tuple) else namespace


class TextEngine:
    """One loaded model. Implements `domain.ports.engine.Engine`; owns the executor."""

    def __init__(
        self,
        model: str,
        executor: Executor,
        options: TextOptions,
        costs: CostFile | None = None,
        prefix_store: PrefixDiskStore | None = None,
        media: MediaReader | None = None,
    ) -> None:
        traits, self._vocabulary = executor.traits, executor.vocabulary
        window, retained_cells = min(traits.window, traits.cells), options.retained_cells(traits)
        self._executor = executor
        self._shares_prefixes = options.share_prefixes
        speculates = options.speculate and traits.can_trim
        self._prompts = PromptProcessor(executor, window, speculates=speculates, media=media)
        support = self._prompts.tool_support
        self._loaded = LoadedModel(
            model,
            executor.kernels,
            device=traits.device,
            device_bytes=executor.device_bytes,
            window=window,
            tools=support.family,
            reasoning=support.reasoning_switch,
        )
        self._queue = RequestQueue(RequestPreparer(executor, self._prompts).prepare)
        self._cache = KVCache(executor, retain=retained_cells, kind=_adapter_of)
        self._adapters = AdapterCache(executor, is_possible=traits.adapters)
        self._budget = PrefillBudget(
            traits.batch,
            fixed=options.prefill_slice,
            costs=costs.read() if costs else None,
            save=costs.write if costs else None,
        )
        self._scheduler = Scheduler(
            self._cache,
            traits,
            prefill_budget=self._prefill_tokens,
            min_acceptance=self._budget.min_acceptance,
            score_rows=max(1, MAX_SCORED_LOGITS // self._vocabulary.size),
        )
        self._prefix_store = prefix_store
        self._persistence: PrefixPersistence | None = None
        if prefix_store is not None:
            self._persistence = PrefixPersistence(
                self._cache,
                executor,
                prefix_store,
                max_tokens=min(window, retained_cells),
                on_loaded=self._queue.add_loaded_prefix,
            )
            self._scheduler.on_started = self._persistence.on_prefix_hit
        self._outputs: dict[int, OutputProcessor] = {}
        self._generated = 0
        self._stats = EngineStats(cells=traits.cells, device_bytes=executor.device_bytes)
        self._step_began: float | None = None

    @property
    def loaded(self) -> LoadedModel:
        """Facts about the loaded model."""
        return self._loaded

    def open(self, id: int, request: EngineRequest, credit: int) -> None:
        """Accept a request; an id already in use is ignored. Raises InvalidRequest for a request of another kind."""
        if not isinstance(request, TextRequest | TokenRequest):
            raise InvalidRequest(f"{self._loaded.model} cannot be used for this.", param="model")
        self._queue.open(id, request, credit)

    def credit(self, id: int, n: int) -> None:
        """Allow `n` more deltas."""
        self._queue.credit(id, n)

    def grant(self, id: int, n: int) -> None:
        """Allow `n` more tokens, 0 for no more at all."""
        self._queue.grant(id, n)

    def cancel(self, id: int) -> None:
        """Drop a request and free what it holds before the next step."""
        self._queue.cancel(id)

    def stats(self) -> EngineStats:
        """Return the current counters and gauges."""
        now, began = self._stats, self._step_began
        stalled = 0.0 if began is None else time.monotonic() - began
        return msgspec.structs.replace(now, waiting=now.waiting + self._queue.waiting, stalled_s=stalled)

    def close(self) -> None:
        """Make `run` return after the current step."""
        self._queue.close()

    def run(self, emit: EmitEvents) -> None:
        """Work until `close`. An internal error fails every open request, then propagates."""
        self._queue.start()
        if self._prefix_store is not None:
            self._prefix_store.start()
        is_idle = True
        try:
            while (updates := self._queue.take_updates(wait=is_idle)) is not None:
                self._step_began = time.monotonic()
                if early := self._apply_updates(updates):
                    self._update_stats()  # a caller that sees its request end may then read the stats
                    emit(early)  # at once, because the first step of a long prompt takes long
                events = self._step()
                self._update_stats()
                self._step_began = None
                is_idle = events is None
                if self._persistence is not None and self._persistence.copy_one(is_idle=is_idle):
                    is_idle = False  # there may be more to copy
                if events:
                    emit(events)
            while self._persistence is not None and self._persistence.copy_one(is_idle=True):
                pass  # prefixes due for the disk are copied before the end
        except BaseException:
            error = EngineFailed("The engine failed because of an internal error.").info
            emit([(id, Failed(error, self._usage(id))) for id in self._queue.open_ids()])
            raise
        finally:
            self._queue.close()
            self._queue.join()
            self._prompts.close()
            if self._prefix_store is not None:
                self._prefix_store.close()
            self._executor.close()

    def _apply_updates(self, updates: QueueUpdates) -> list[tuple[int, Event]]:
        """Apply what the request queue received since the last step."""
        events = updates.ended()
        for prepared in updates.prepared:
            events += self._admit(prepared)
        for name, state in updates.loaded_prefixes:
            for scheduled in self._persistence.on_loaded(name, state) if self._persistence else ():
                if scheduled.id in self._outputs:  # not canceled meanwhile
                    self._scheduler.add(scheduled)
        for id, n in updates.credits:
            if id in self._outputs:
                self._outputs[id].scheduled.credit += n
        for id, n in updates.grants:
            if id in self._outputs:
                self._outputs[id].grant(n)
                events += self._settle(id)
        for id in updates.cancels:
            if id in self._outputs:
                self._scheduler.remove(self._outputs[id].scheduled)
                self._end(id)
        return events

    def _admit(self, prepared: PreparedRequest) -> list[tuple[int, Event]]:
        id, request = prepared.id, prepared.request
        try:
            adapter = self._adapters.acquire(request.adapter)
        except HomeportError as error:
            self._queue.forget(id)
            return [(id, Failed(error.info))]
        namespace = (adapter,) if self._shares_prefixes else (adapter, request.project)
        scheduled = ScheduledRequest(
            id, namespace, request.project, prepared.credit, adapter=adapter, background=request.is_background
        )
        output = OutputProcessor(prepared, scheduled, self._vocabulary, seed=_choose_seed(request))
        self._outputs[id] = output
        self._executor.prepare_length(max((len(one.tokens) for one in scheduled.candidates), default=0))
        if self._persistence is None or not self._persistence.wait_for_stored_prefix(scheduled):
            self._scheduler.add(scheduled)
        return [*((id, event) for event in (output.admitted_event(), *output.start())), *self._settle(id)]

    def _step(self) -> list[tuple[int, Event]] | None:
        """Run one step for all requests; None if nothing may step until there are updates."""
        plan = self._scheduler.plan()
        if not plan.slices:
            self._scheduler.check_integrity()
            return None
        try:
            logits = self._forward(plan)
            rows = self._scheduler.commit(plan)
            runs, scores = self._sample(logits, rows)
        except EngineFailed as error:
            logger.exception("a step of %d sequences failed", len(plan.slices))
            return self._fail(plan, error.info)
        events = self._score_prompts(plan, logits)
        failed: dict[int, ErrorInfo] = {}
        for row, run, run_scores in zip(rows, runs, scores, strict=True):
            output = self._outputs[row.candidate.request.id]
            failure = failed.get(output.id) or output.sampler_of(row.candidate).failure
            if failure is not None:
                failed[output.id] = failure
                self._scheduler.append(row, run[:1])
            else:
                events += self._add_tokens(output, row, run, run_scores)
        for id, failure in failed.items():
            events += self._fail_request(id, failure)
        for id in {row.candidate.request.id for row in rows} | {part.candidate.request.id for part in plan.slices}:
            events += self._settle(id) if id in self._outputs else []
        return events

    def _add_tokens(
        self, output: OutputProcessor, row: LogitsRow, run: list[int], scores: list[TokenScore | None]
    ) -> list[tuple[int, Event]]:
        """Add the tokens sampled at one row to their answer, and those that certainly follow."""
        candidate = row.candidate
        events, n_used, forced = output.add_tokens(candidate, run, scores)
        self._generated += n_used + len(forced)
        self._scheduler.append(row, run[:n_used], forced)
        if output.is_finished(candidate):
            self._scheduler.finish(candidate)
        else:
            candidate.forced = tuple(output.sampler_of(candidate).next_forced())
        return [(output.id, event) for event in events]

    def _settle(self, id: int) -> list[tuple[int, Event]]:
        """Check a request's quota after its step, and end the request if it is done."""
        output = self._outputs[id]
        events = output.check_quota()
        if output.is_done:
            if events:  # the quota ran out while candidates were running
                self._scheduler.remove(output.scheduled)
            self._end(id)
        return [(id, event) for event in events]

    def _prefill_tokens(self, decode: int, prompts: int) -> int:
        """Return the prompt tokens of a step; few if only background requests run, so that others wait less."""
        requests = (output.scheduled for output in self._outputs.values())
        if all(request.background for request in requests if request.credit > 0):
            return self._budget.background_tokens(decode)
        return self._budget.tokens_for_step(decode, prompts)

    def _forward(self, plan: StepPlan) -> Logits:
        batches = plan.token_batches()
        if len(batches) > 1:  # slower than one batch of their size, so the time is not recorded
            return np.concatenate([self._executor.forward(batch).copy() for batch in batches])
        began = time.monotonic()
        logits = self._executor.forward(batches[0])
        self._budget.observe(plan.decode, plan.prompt, time.monotonic() - began, drafted=plan.drafted)
        return logits

    def _sample(
        self, logits: Logits, rows: Sequence[LogitsRow]
    ) -> tuple[list[list[int]], list[list[TokenScore | None]]]:
        """Sample the tokens of each row, and score them if the request needs it."""
        outputs = [self._outputs[row.candidate.request.id] for row in rows]
        samplers = [output.sampler_of(row.candidate) for output, row in zip(outputs, rows, strict=True)]
        runs = sample_runs(logits, rows, samplers)
        tops = [output.top if output.wants_scores else None for output in outputs]
        return runs, score_runs(logits, rows, runs, tops)

    def _score_prompts(self, plan: StepPlan, logits: Logits) -> list[tuple[int, Event]]:
        """Score the prompt tokens that this step's rows predict; complete requests that need nothing else."""
        events: list[tuple[int, Event]] = []
        first = 0
        for part in plan.slices:
            candidate = part.candidate
            output = self._outputs[candidate.request.id]
            if candidate.scores_prompt:
                prompt = candidate.tokens[: candidate.prompt_length]
                targets = [prompt[position + 1] for position in part.rows if position + 1 < len(prompt)]
                scores = score(logits[first : first + len(targets)], targets, [output.top] * len(targets))
                output.add_prompt_scores(candidate.prompt, part.start + 1, scores)
            if not candidate.samples and not candidate.pending:
                events += [(output.id, event) for event in output.finish_without_tokens(candidate.prompt)]
                self._scheduler.finish(candidate)
            first += len(part.rows)
        return events

    def _fail(self, plan: StepPlan, error: ErrorInfo) -> list[tuple[int, Event]]:
        """End every request of a step that failed."""
        events: list[tuple[int, Event]] = []
        for scheduled in self._scheduler.fail(plan):
            events.append((scheduled.id, Failed(error, self._usage(scheduled.id))))
            self._end(scheduled.id)
        return events

    def _fail_request(self, id: int, error: ErrorInfo) -> list[tuple[int, Event]]:
        """End one request whose answer cannot continue."""
        self._scheduler.remove(self._outputs[id].scheduled)
        usage = self._usage(id)
        self._end(id)
        return [(id, Failed(error, usage))]

    def _end(self, id: int) -> None:
        self._adapters.release(self._outputs.pop(id).scheduled.adapter)
        self._queue.forget(id)

    def _usage(self, id: int) -> Usage:
        output = self._outputs.get(id)
        return output.usage if output else Usage()

    def _update_stats(self) -> None:
        running = {candidate.request.id for candidate in self._scheduler.running}
        counters = self._scheduler.counters
        self._stats = EngineStats(
            running=len(running),
            waiting=len(self._outputs) - len(running),
            cells_used=self._cache.running_cells,
            cells=self._executor.traits.cells,
            generated_tokens=self._generated,
            prefix_queries=counters.prefix_queries,
            prefix_hits=counters.prefix_hits,
            prompt_tokens=counters.prompt_tokens,
            preemptions=counters.preemptions,
            steps=counters.steps,
            drafted_tokens=counters.drafted,
            accepted_tokens=counters.accepted,
            disk_queries=self._persistence.queries if self._persistence else 0,
            disk_hits=self._persistence.hits if self._persistence else 0,
            prompts=self._executor.prompts,
            device_bytes=self._executor.device_bytes,
        )
