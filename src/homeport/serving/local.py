"""Serving on one machine: every model in a child process of its own. Implements `domain.ports.Serving`."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from homeport.domain.errors import Unavailable
from homeport.domain.models import EngineStats, InstalledModel, LoadedModel
from homeport.domain.ports.serving import More
from homeport.domain.worker_messages import EngineRequest, EngineSpec
from homeport.serving.admission import Admission, AdmissionTicket
from homeport.serving.background import BackgroundRequests, ForegroundRequest
from homeport.serving.background_loops import BackgroundLoops
from homeport.serving.options import ServingOptions
from homeport.serving.pool.model_pool import ModelPool
from homeport.serving.pool.pooled_model import WorkerStatus
from homeport.serving.workers.engine_table import ENGINES, entry_point
from homeport.serving.workers.frames import LaunchMessage
from homeport.serving.workers.stream import WorkerStream

log = logging.getLogger(__name__)

EngineOptions = Callable[[InstalledModel], Mapping[str, str | int | float | bool | None]]
EngineFiles = Callable[[InstalledModel], Mapping[str, Path]]
Estimate = Callable[[InstalledModel], int]


def no_options(_: InstalledModel) -> Mapping[str, str | int | float | bool | None]:
    """Leave every engine its defaults."""
    return {}


def own_files(model: InstalledModel) -> Mapping[str, Path]:
    """Give an engine its model's files."""
    return model.files


def weights_size(model: InstalledModel) -> int:
    """The least a model takes: its weights, in bytes."""
    return model.facts.size_bytes


class LocalServing:
    """Runs requests in worker processes.

    `engines` names each engine's `module:function`; `job_options` gives a model's engine options, `job_files` the files
    that its engine reads, by role (raising what the caller is told where one is missing); `estimate` says what a model
    will take in memory, in bytes; `loops` runs what repeats. To be built, started and closed on one event loop.
    """

    def __init__(
        self,
        options: ServingOptions | None = None,
        engines: Mapping[str, str] = ENGINES,
        job_options: EngineOptions = no_options,
        job_files: EngineFiles = own_files,
        estimate: Estimate = weights_size,
        loops: BackgroundLoops | None = None,
    ) -> None:
        self._options = options or ServingOptions()
        self._engines = engines
        self._job_options = job_options
        self._job_files = job_files
        self._admission = Admission(self._options.slots, self._options.max_queue)
        self._pool = ModelPool(self._options, self._launch_message, estimate, loops or BackgroundLoops())
        self.background = BackgroundRequests()
        self._accepts = False
        self._quiet = asyncio.Event()

    async def start(self) -> None:
        """Begin to accept requests. Loads nothing."""
        self._pool.start()
        self._accepts = True

    async def preload(self, models: Sequence[InstalledModel]) -> None:
        """Load models now. Raises Unavailable where one does not load."""
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
        """Admit a request (load the model first if need be). Raises Overloaded or Unavailable before any work.

        What is in the background takes no caller's place, and rests while callers wait. Holders share a model's places.
        """
        self._check_accepts()
        name = model.facts.name
        ticket = self._enter(name, holder, is_background=is_background)
        visit = None if is_background else self._add_foreground(name)

        def leave() -> None:
            ticket.release()
            if visit is not None:
                visit.finish()
            if not self._admission.total:
                self._quiet.set()

        try:
            session, lease = await self._pool.lease(model)
        except BaseException:
            leave()
            raise

        def end() -> None:
            lease.release()
            leave()

        stream = await session.open(
            request, end, visit.on_first_event if visit else None, rests=is_background, more=more
        )
        if is_background:
            self.background.track(stream)
        return stream

    async def stop(self, model: str, wait_s: float = 0.0) -> bool:
        """Unload a model, after waiting up to `wait_s` for its requests. False where it is not loaded."""
        return await self._pool.stop(model, wait_s)

    async def drain(self, timeout_s: float) -> None:
        """Refuse new requests, let those inside finish for up to `timeout_s`, then end every worker."""
        self._accepts = False
        self._quiet.clear()
        if self._admission.total:
            try:
                async with asyncio.timeout(timeout_s):
                    await self._quiet.wait()
            except TimeoutError:
                log.warning("%d requests were not finished within %g s", self._admission.total, timeout_s)
        await self.close()

    async def close(self) -> None:
        """End every worker now. Streams still open fail. Safe to call twice."""
        self._accepts = False
        self.background.close()
        await self._pool.close()

    def loaded(self, model: str) -> LoadedModel | None:
        """Facts of a model that is loaded now, else None."""
        for resident in self._pool.entries:
            if resident.name == model and (session := resident.supervisor.current):
                return session.loaded
        return None

    def stats(self) -> dict[str, EngineStats]:
        """The latest gauges of every loaded model, by real name."""
        sessions = ((resident.name, resident.supervisor.current) for resident in self._pool.entries)
        return {name: session.gauges for name, session in sessions if session}

    def worker_status(self) -> Sequence[WorkerStatus]:
        """How every worker stands, for operators."""
        return tuple(resident.status for resident in self._pool.entries)

    @property
    def is_ready(self) -> bool:
        """Whether requests would be served now: not draining, no supervised worker dead or stuck."""
        return self._accepts and all(resident.supervisor.is_healthy for resident in self._pool.entries)

    def _enter(self, name: str, holder: str, *, is_background: bool) -> AdmissionTicket:
        if is_background:
            return self._admission.admit(f"{name} in the background")
        return self._admission.admit(name, holder)

    def _add_foreground(self, name: str) -> ForegroundRequest:
        """A caller asks a model: what is in the background rests, and gives up its own models' room if need be."""
        visit = self.background.add_foreground()
        if self._options.memory_bytes is not None and self.loaded(name) is None:
            self.background.preempt_others(name)
        return visit

    def _check_accepts(self) -> None:
        if not self._accepts:
            raise Unavailable("The server is shutting down.", retry_after_s=5.0)

    def _launch_message(self, model: InstalledModel) -> LaunchMessage:
        job = EngineSpec(
            engine=model.facts.engine,
            model=model.facts.name,
            files=dict(self._job_files(model)),
            digest=model.digest,
            options=dict(self._job_options(model)),
        )
        return LaunchMessage(entry_point(model.facts.engine, self._engines), job, self._options.frame_bytes)
