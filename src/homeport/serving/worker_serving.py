"""Serving on one machine: every model in a child process of its own. Implements `domain.ports.serving.Serving`."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from homeport.domain.content import attach
from homeport.domain.errors import Unavailable
from homeport.domain.models import EngineStats, InstalledModel, LoadedModel
from homeport.domain.operations import WorkerReport
from homeport.domain.ports.serving import IdleGate, More
from homeport.domain.worker_messages import EngineRequest, EngineSpec
from homeport.serving.admission import Admission, AdmissionTicket
from homeport.serving.background_loops import BackgroundLoops
from homeport.serving.background_requests import BackgroundRequests, ForegroundRequest
from homeport.serving.options import ServingOptions
from homeport.serving.pool.model_pool import ModelPool
from homeport.serving.workers.engine_entry_points import ENGINES, entry_point
from homeport.serving.workers.frames import LaunchMessage
from homeport.serving.workers.stream import WorkerStream

_log = logging.getLogger(__name__)

EngineOptions = Callable[[InstalledModel], Mapping[str, str | int | float | bool | None]]
EngineFiles = Callable[[InstalledModel], Mapping[str, Path]]
Estimate = Callable[[InstalledModel], int]


def no_options(_: InstalledModel) -> Mapping[str, str | int | float | bool | None]:
    """Return no options: every engine uses its defaults."""
    return {}


def own_files(model: InstalledModel) -> Mapping[str, Path]:
    """Return the model's own files."""
    return model.files


def weights_size(model: InstalledModel) -> int:
    """Return the size of a model's weights in bytes: the minimum of its memory."""
    return model.facts.size_bytes


class WorkerServing:
    """Runs requests in worker processes.

    `engines` names each engine's `module:function`. `engine_options` returns a model's engine options; `engine_files`
    the files that its engine reads, by role (it raises the caller's error if one is missing); `estimate` the memory
    that a model needs, in bytes. `loops` runs periodic work. Built, started and closed on one event loop.
    """

    def __init__(
        self,
        options: ServingOptions | None = None,
        engines: Mapping[str, str] = ENGINES,
        engine_options: EngineOptions = no_options,
        engine_files: EngineFiles = own_files,
        estimate: Estimate = weights_size,
        loops: BackgroundLoops | None = None,
    ) -> None:
        self._options = options or ServingOptions()
        self._engines = engines
        self._engine_options = engine_options
        self._engine_files = engine_files
        self._admission = Admission(self._options.slots, self._options.max_queue)
        self._pool = ModelPool(self._options, self._launch_message, estimate, loops or BackgroundLoops())
        self.background = BackgroundRequests()
        self._accepts = False
        self._drained = asyncio.Event()

    @property
    def idle_gate(self) -> IdleGate:
        """The gate that background work waits for."""
        return self.background

    async def start(self) -> None:
        """Start to accept requests. Loads nothing."""
        self._pool.start()
        self._accepts = True

    async def preload(self, models: Sequence[InstalledModel]) -> None:
        """Load models now. Raises Unavailable if one does not load."""
        await self._pool.preload(models)

    async def open(
        self,
        model: InstalledModel,
        request: EngineRequest,
        *,
        is_background: bool = False,
        holder: str = "",
        more: More | None = None,
    ) -> WorkerStream:
        """Admit a request, and load the model first if necessary. Raises Overloaded or Unavailable before any work.

        A background request takes no caller's place in the queue, and pauses while callers wait. Holders share a
        model's places.
        """
        self._check_accepts()
        name = model.facts.name
        ticket = self._admit(name, holder, is_background=is_background)
        foreground = None if is_background else self._add_foreground(name)

        def release() -> None:
            ticket.release()
            if foreground is not None:
                foreground.finish()
            if not self._admission.total:
                self._drained.set()

        try:
            session, lease = await self._pool.lease(model)
        except BaseException:
            release()
            raise

        def on_end() -> None:
            lease.release()
            release()

        stream = await session.open(
            request, on_end, foreground.on_first_event if foreground else None, is_paused=is_background, more=more
        )
        if is_background:
            self.background.track(stream)
        return stream

    async def stop(self, model: str, wait_s: float = 0.0) -> bool:
        """Unload a model, after waiting up to `wait_s` for its requests. False if it is not loaded."""
        return await self._pool.stop(model, wait_s)

    async def drain(self, timeout_s: float) -> None:
        """Refuse new requests, let running ones finish for up to `timeout_s`, then end every worker."""
        self._accepts = False
        self._drained.clear()
        if self._admission.total:
            try:
                async with asyncio.timeout(timeout_s):
                    await self._drained.wait()
            except TimeoutError:
                _log.warning("%d requests were not finished within %g s", self._admission.total, timeout_s)
        await self.close()

    async def close(self) -> None:
        """End every worker now. Open streams fail. Safe to call twice."""
        self._accepts = False
        self.background.close()
        await self._pool.close()

    def loaded(self, model: str) -> LoadedModel | None:
        """Return facts about a model that is loaded now, else None."""
        for pooled in self._pool.entries:
            if pooled.name == model and (session := pooled.supervisor.current):
                return msgspec.structs.replace(session.loaded, prompts=session.gauges.prompts)
        return None

    def in_use(self, model: str) -> int:
        """Return how many requests hold or wait for a model now."""
        return sum(pooled.leases.count for pooled in self._pool.entries if pooled.name == model)

    def stats(self) -> dict[str, EngineStats]:
        """Return the latest stats of every loaded model, by real name."""
        sessions = ((pooled.name, pooled.supervisor.current) for pooled in self._pool.entries)
        return {name: session.gauges for name, session in sessions if session}

    def worker_bytes(self) -> dict[str, int]:
        """Return the resident memory of every worker when it was last measured, by real name."""
        return {pooled.name: pooled.measured_bytes for pooled in self._pool.entries}

    def worker_status(self) -> Sequence[WorkerReport]:
        """Return the state of every worker, for operators."""
        return tuple(pooled.report for pooled in self._pool.entries)

    @property
    def is_ready(self) -> bool:
        """Whether the server can serve requests: it is not draining, and no supervised worker is dead or stuck."""
        return self._accepts and all(pooled.supervisor.is_healthy for pooled in self._pool.entries)

    def _admit(self, name: str, holder: str, *, is_background: bool) -> AdmissionTicket:
        if is_background:
            return self._admission.admit(f"{name} in the background")
        return self._admission.admit(name, holder)

    def _add_foreground(self, name: str) -> ForegroundRequest:
        """Count a caller's request: background requests pause, and end if their memory may be needed."""
        foreground = self.background.add_foreground()
        if self._options.memory_bytes is not None and self.loaded(name) is None:
            self.background.preempt_others(name)
        return foreground

    def _check_accepts(self) -> None:
        if not self._accepts:
            raise Unavailable("The server is shutting down.", retry_after_s=5.0)

    def _launch_message(self, model: InstalledModel) -> LaunchMessage:
        spec = EngineSpec(
            engine=model.facts.engine,
            model=model.facts.name,
            files=attach(self._engine_files(model)),
            digest=model.digest,
            options=dict(self._engine_options(model)),
        )
        return LaunchMessage(entry_point(model.facts.engine, self._engines), spec, self._options.frame_bytes)
