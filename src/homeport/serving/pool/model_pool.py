"""The loaded models: loaded on first use, shared by all requests, unloaded when idle, within a memory budget.

Knows nothing of requests. Never holds two workers of one model, and unloads a model in use only if an operator says so,
or at the end.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from homeport.domain.errors import HomeportError, Unavailable
from homeport.domain.models import InstalledModel
from homeport.serving.background_loops import BackgroundLoops
from homeport.serving.backoff import Backoff
from homeport.serving.options import ServingOptions
from homeport.serving.pool.eviction import choose_victims, format_size
from homeport.serving.pool.leases import Lease
from homeport.serving.pool.pooled_model import PooledModel
from homeport.serving.workers.frames import LaunchMessage
from homeport.serving.workers.session import WorkerSession
from homeport.serving.workers.supervisor import WorkerPhase, WorkerSupervisor

_log = logging.getLogger(__name__)

_SWEEP_S = 1.0


class LeasedModel(NamedTuple):
    """The session of a loaded model, and the lease that keeps it loaded."""

    session: WorkerSession
    lease: Lease


class _LoadFailure(NamedTuple):
    error: HomeportError
    retry_at: float


class ModelPool:
    """Leases loaded models. `launch_message` returns how a model is launched, `estimate` its memory in bytes.

    `loops` runs the sweep that unloads idle models.
    """

    def __init__(
        self,
        options: ServingOptions,
        launch_message: Callable[[InstalledModel], LaunchMessage],
        estimate: Callable[[InstalledModel], int],
        loops: BackgroundLoops,
    ) -> None:
        self._options = options
        self._loops = loops
        self._launch_message = launch_message
        self._estimate = estimate
        self._entries: dict[str, PooledModel] = {}
        self._failures: dict[str, _LoadFailure] = {}
        self._backoffs: dict[str, Backoff] = {}
        self._load_lock = asyncio.Lock()  # one load at a time makes room, in order of arrival
        self._changed = asyncio.Event()  # pulsed whenever a model loses its last lease or is unloaded
        self._sweep_task: asyncio.Task[None] | None = None
        self._is_closed = False

    @property
    def entries(self) -> Sequence[PooledModel]:
        """Every model that is in memory or being loaded, in order of arrival."""
        return tuple(self._entries.values())

    def start(self) -> None:
        """Start to unload idle models."""
        idle_s = self._options.idle_s
        pause_s = _SWEEP_S if idle_s is None else min(_SWEEP_S, idle_s / 2)
        self._sweep_task = self._loops.start("idle_models", self._sweep, pause_s)

    async def lease(self, model: InstalledModel) -> LeasedModel:
        """Lease a loaded model; load it first if necessary. Raises Unavailable, with the reason.

        May be cancelled at any time; a load that no request waits for continues, unless it has not started.
        """
        entry = await self._entry_for(model)
        lease = entry.leases.acquire()
        try:
            if entry.opening and not entry.opening.done():
                await asyncio.wait((entry.opening,))  # so that a failed load is removed before its waiters resume
            return LeasedModel(await entry.supervisor.session(), lease)
        except BaseException:
            lease.release()
            raise

    async def preload(self, models: Sequence[InstalledModel]) -> None:
        """Load models before the first request."""
        for model in models:
            leased = await self.lease(model)
            leased.lease.release()

    async def stop(self, name: str, wait_s: float = 0.0) -> bool:
        """Unload a model, after waiting up to `wait_s` for its leases. False if it is not loaded."""
        entry = self._entries.get(name)
        if entry is None:
            return False
        entry.is_leaving = True
        try:
            async with asyncio.timeout(wait_s):
                while entry.leases.count:
                    await self._changed.wait()
        except TimeoutError:
            _log.warning("%s is stopped with %d requests on it", name, entry.leases.count)
        await self._unload(entry)
        return True

    async def close(self) -> None:
        """End every worker, for good."""
        self._is_closed = True
        if self._sweep_task is not None:
            self._sweep_task.cancel()
            await asyncio.wait((self._sweep_task,))
        await asyncio.gather(*(self._unload(entry) for entry in self.entries))

    async def _entry_for(self, model: InstalledModel) -> PooledModel:
        """Return a model's entry in the pool, creating it if necessary."""
        name = model.facts.name
        while entry := self._entries.get(name):
            if entry.is_leaving:
                await self._changed.wait()
            elif entry.digest != model.digest and not entry.leases.count:
                await self._unload(entry)  # the model of this name has other files now
            else:
                return entry
        if self._is_closed:
            raise Unavailable("The server is shutting down.")
        failure = self._failures.get(name)
        if failure and (wait_s := failure.retry_at - time.monotonic()) > 0:
            raise type(failure.error)(failure.error.message, code=failure.error.code, retry_after_s=wait_s)
        supervisor = WorkerSupervisor(self._launch_message(model), self._options)
        entry = PooledModel(model, supervisor, self._estimate(model), lambda: self._on_free(name))
        self._entries[name] = entry
        entry.opening = asyncio.create_task(self._open(entry))
        entry.opening.add_done_callback(lambda opening: self._on_opened(entry, opening))
        return entry

    async def _open(self, entry: PooledModel) -> None:
        """Make room for a model and complete its first load."""
        try:
            async with self._load_lock:
                await self._make_room(entry)
                entry.supervisor.start()
            await entry.supervisor.session()
        except HomeportError as error:
            if entry.supervisor.phase is WorkerPhase.QUEUED:
                entry.supervisor.reject_waiters(error)
            elif entry.ending is None:
                self._record_failure(entry.name, error)
            self._remove(entry)
        else:
            self._failures.pop(entry.name, None)
            self._backoffs.pop(entry.name, None)

    def _on_opened(self, entry: PooledModel, opening: asyncio.Task[None]) -> None:
        """Reject all waiters of a load that was cancelled or failed, even before its first step."""
        if opening.cancelled():
            error = Unavailable(f"{entry.name} is not loaded: no request waits for it.")
        elif failure := opening.exception():
            _log.error("The load of %s failed", entry.name, exc_info=failure)
            error = Unavailable(f"{entry.name} does not load: {failure}")
        else:
            return
        entry.supervisor.reject_waiters(error)
        self._remove(entry)

    async def _make_room(self, entry: PooledModel) -> None:
        """Wait until a model fits into the budget, unloading others. Raises Unavailable if that is impossible."""
        budget = self._options.memory_bytes
        if budget is None:
            return
        blocked: set[PooledModel] = set()
        try:
            victims = await self._wait_for_victims(budget, entry, blocked)
            for other in victims:
                other.is_leaving = True  # all at once: none may be leased while another is being unloaded
            for other in victims:
                await self._unload(other)
        finally:
            for other in blocked:
                other.is_leaving = other.ending is not None
            self._notify()

    async def _wait_for_victims(self, budget: int, entry: PooledModel, blocked: set[PooledModel]) -> list[PooledModel]:
        """Wait until idle models make enough room. After a while models in use stop accepting leases (`blocked`)."""
        since = time.monotonic()
        patience_s = min(self._options.room_patience_s, self._options.room_wait_s)
        while (victims := self._victims(budget, entry)) is None:
            waited_s = time.monotonic() - since
            victims_in_use = self._victims(budget, entry, also_used=True)
            if victims_in_use is None or waited_s >= self._options.room_wait_s:
                raise _no_room(entry, budget, waited_s)
            if waited_s >= patience_s:
                blocked.update(other for other in victims_in_use if not other.is_leaving)
                for other in victims_in_use:
                    other.is_leaving = True
                patience_s = self._options.room_wait_s
            await self._wait_for_change(patience_s - waited_s)
        return victims

    def _victims(self, budget: int, entry: PooledModel, *, also_used: bool = False) -> list[PooledModel] | None:
        others = {
            other.name: other
            for other in self.entries
            if other is not entry and other.supervisor.phase is not WorkerPhase.QUEUED
        }
        candidates = (other.eviction_candidate for other in others.values())
        names = choose_victims(budget, entry.size_bytes, candidates, also_used=also_used)
        return None if names is None else [others[name] for name in names]

    async def _unload(self, entry: PooledModel) -> None:
        """End a model's worker and wait until its memory is freed. Completes even if the caller is cancelled."""
        entry.is_leaving = True
        if entry.ending is None:
            entry.ending = asyncio.create_task(self._end(entry))
        await asyncio.shield(entry.ending)

    async def _end(self, entry: PooledModel) -> None:
        if entry.opening is not None and entry.supervisor.phase is WorkerPhase.QUEUED:
            entry.opening.cancel()
            await asyncio.wait((entry.opening,))
        await entry.supervisor.stop()
        _log.info("%s is unloaded", entry.name)
        self._remove(entry)

    def _remove(self, entry: PooledModel) -> None:
        if self._entries.get(entry.name) is entry:
            del self._entries[entry.name]
        self._notify()

    def _record_failure(self, name: str, error: HomeportError) -> None:
        backoff = Backoff(self._options.restart_backoff_s, self._options.restart_backoff_limit_s)
        self._failures[name] = _LoadFailure(
            error, time.monotonic() + self._backoffs.setdefault(name, backoff).record_failure()
        )

    def _on_free(self, name: str) -> None:
        entry = self._entries.get(name)
        if entry and entry.opening and entry.supervisor.phase is WorkerPhase.QUEUED:
            entry.is_leaving = True
            entry.opening.cancel()
        self._notify()

    def _notify(self) -> None:
        self._changed.set()
        self._changed.clear()

    async def _wait_for_change(self, limit_s: float) -> None:
        try:
            async with asyncio.timeout(limit_s):
                await self._changed.wait()
        except TimeoutError:
            return

    async def _sweep(self) -> None:
        """Unload idle models. Raises the last error, once every model has been checked."""
        failed: Exception | None = None
        for entry in self.entries:
            try:
                await self._review(entry)
            except Exception as error:
                failed = error
        if failed is not None:
            raise failed

    async def _review(self, entry: PooledModel) -> None:
        entry.measure()
        idle_s = self._options.idle_s
        is_idle = idle_s is not None and entry.leases.idle_s >= idle_s
        if is_idle and entry.supervisor.phase is not WorkerPhase.QUEUED:
            await self._unload(entry)


def _no_room(entry: PooledModel, budget: int, waited_s: float) -> Unavailable:
    waited = f" after {waited_s:.0f} s of waiting for models in use" if waited_s >= 1 else ""
    return Unavailable(
        f"{entry.name} needs about {format_size(entry.size_bytes)} and there is no room for it{waited}: "
        f"the memory budget is {format_size(budget)}. Raise it, or unload another model.",
        retry_after_s=10.0,
    )
