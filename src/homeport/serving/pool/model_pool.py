"""The loaded models: loaded on first use, shared by all who ask, unloaded when idle, within a memory budget.

Knows nothing of requests. Never holds two workers of one model, and never unloads a model that is in use, but on
an operator's word or at the end.
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

log = logging.getLogger(__name__)

_SWEEP_S = 1.0


class LeasedModel(NamedTuple):
    """A loaded model's session, and the lease that keeps the model loaded."""

    session: WorkerSession
    lease: Lease


class _LoadFailure(NamedTuple):
    error: HomeportError
    retry_at: float


class ModelPool:
    """Leases loaded models. `order` says how a model is launched, `estimate` what it will take in bytes.

    `loops` runs the search for idle models.
    """

    def __init__(
        self,
        options: ServingOptions,
        order: Callable[[InstalledModel], LaunchMessage],
        estimate: Callable[[InstalledModel], int],
        loops: BackgroundLoops,
    ) -> None:
        self._options = options
        self._loops = loops
        self._order = order
        self._estimate = estimate
        self._residents: dict[str, PooledModel] = {}
        self._failures: dict[str, _LoadFailure] = {}
        self._backoffs: dict[str, Backoff] = {}
        self._door = asyncio.Lock()  # one load makes room at a time, in the order they came
        self._moved = asyncio.Event()  # pulsed whenever a model lost its last user or left
        self._sweeping: asyncio.Task[None] | None = None
        self._is_closed = False

    @property
    def entries(self) -> Sequence[PooledModel]:
        """Every model in memory or on its way, in the order they came."""
        return tuple(self._residents.values())

    def start(self) -> None:
        """Begin to look for idle models."""
        idle_s = self._options.idle_s
        pause_s = _SWEEP_S if idle_s is None else min(_SWEEP_S, idle_s / 2)
        self._sweeping = self._loops.start("idle_models", self._sweep, pause_s)

    async def lease(self, model: InstalledModel) -> LeasedModel:
        """Hold a loaded model; load it first where need be. Raises Unavailable, with the reason.

        May be cancelled at any time; a load that nobody waits for any more goes on, unless it has not begun.
        """
        resident = await self._entry_for(model)
        lease = resident.leases.acquire()
        try:
            if resident.opening and not resident.opening.done():
                await asyncio.wait((resident.opening,))  # so that a failed one is forgotten before its askers know
            return LeasedModel(await resident.supervisor.session(), lease)
        except BaseException:
            lease.release()
            raise

    async def preload(self, models: Sequence[InstalledModel]) -> None:
        """Load models before anybody asks."""
        for model in models:
            held = await self.lease(model)
            held.lease.release()

    async def stop(self, name: str, wait_s: float = 0.0) -> bool:
        """Unload a model, after waiting up to `wait_s` for its users. False where it is not loaded."""
        resident = self._residents.get(name)
        if resident is None:
            return False
        resident.is_leaving = True
        try:
            async with asyncio.timeout(wait_s):
                while resident.leases.count:
                    await self._moved.wait()
        except TimeoutError:
            log.warning("%s is stopped with %d requests on it", name, resident.leases.count)
        await self._unload(resident)
        return True

    async def close(self) -> None:
        """End every worker, for good."""
        self._is_closed = True
        if self._sweeping is not None:
            self._sweeping.cancel()
            await asyncio.wait((self._sweeping,))
        await asyncio.gather(*(self._unload(resident) for resident in self.entries))

    async def _entry_for(self, model: InstalledModel) -> PooledModel:
        """The place of a model in the pool, taken now if need be."""
        name = model.facts.name
        while resident := self._residents.get(name):
            if resident.is_leaving:
                await self._moved.wait()
            elif resident.digest != model.digest and not resident.leases.count:
                await self._unload(resident)  # other files stand under this name now
            else:
                return resident
        if self._is_closed:
            raise Unavailable("The server is shutting down.")
        failure = self._failures.get(name)
        if failure and (wait_s := failure.retry_at - time.monotonic()) > 0:
            raise type(failure.error)(failure.error.message, code=failure.error.code, retry_after_s=wait_s)
        process = WorkerSupervisor(self._order(model), self._options)
        resident = PooledModel(model, process, self._estimate(model), lambda: self._on_free(name))
        self._residents[name] = resident
        resident.opening = asyncio.create_task(self._open(resident))
        resident.opening.add_done_callback(lambda opening: self._on_opened(resident, opening))
        return resident

    async def _open(self, resident: PooledModel) -> None:
        """Make room for a model and see its first load through."""
        try:
            async with self._door:
                await self._make_room(resident)
                resident.supervisor.start()
            await resident.supervisor.session()
        except HomeportError as error:
            if resident.supervisor.phase is WorkerPhase.QUEUED:
                resident.supervisor.reject_waiters(error)
            elif resident.ending is None:
                self._record_failure(resident.name, error)
            self._forget(resident)
        else:
            self._failures.pop(resident.name, None)
            self._backoffs.pop(resident.name, None)

    def _on_opened(self, resident: PooledModel, opening: asyncio.Task[None]) -> None:
        """Leave nobody waiting for a load that was given up, even before it took its first step."""
        if opening.cancelled():
            error = Unavailable(f"{resident.name} is not loaded: nobody waits for it any more.")
        elif failure := opening.exception():
            log.error("The load of %s failed", resident.name, exc_info=failure)
            error = Unavailable(f"{resident.name} does not load: {failure}")
        else:
            return
        resident.supervisor.reject_waiters(error)
        self._forget(resident)

    async def _make_room(self, resident: PooledModel) -> None:
        """Wait until a model fits into the budget, unloading others. Raises Unavailable where it cannot be."""
        budget = self._options.memory_bytes
        if budget is None:
            return
        turned: set[PooledModel] = set()
        try:
            going = await self._wait_for_victims(budget, resident, turned)
            for other in going:
                other.is_leaving = True  # all at once: none may find a user while another is being unloaded
            for other in going:
                await self._unload(other)
        finally:
            for other in turned:
                other.is_leaving = other.ending is not None
            self._notify()

    async def _wait_for_victims(
        self, budget: int, resident: PooledModel, turned: set[PooledModel]
    ) -> list[PooledModel]:
        """Wait until idle models can make room. After a while those in use are turned: they take no new users."""
        since = time.monotonic()
        patience_s = min(self._options.room_patience_s, self._options.room_wait_s)
        while (going := self._victims(budget, resident)) is None:
            waited_s = time.monotonic() - since
            used = self._victims(budget, resident, also_used=True)
            if used is None or waited_s >= self._options.room_wait_s:
                raise _no_room(resident, budget, waited_s)
            if waited_s >= patience_s:
                turned.update(other for other in used if not other.is_leaving)
                for other in used:
                    other.is_leaving = True
                patience_s = self._options.room_wait_s
            await self._wait_for_change(patience_s - waited_s)
        return going

    def _victims(self, budget: int, resident: PooledModel, *, also_used: bool = False) -> list[PooledModel] | None:
        others = {
            other.name: other
            for other in self.entries
            if other is not resident and other.supervisor.phase is not WorkerPhase.QUEUED
        }
        occupants = (other.eviction_candidate for other in others.values())
        names = choose_victims(budget, resident.size_bytes, occupants, also_used=also_used)
        return None if names is None else [others[name] for name in names]

    async def _unload(self, resident: PooledModel) -> None:
        """End a model's worker and wait until its memory is back. Once begun it is carried through."""
        resident.is_leaving = True
        if resident.ending is None:
            resident.ending = asyncio.create_task(self._end(resident))
        await asyncio.shield(resident.ending)

    async def _end(self, resident: PooledModel) -> None:
        if resident.opening is not None and resident.supervisor.phase is WorkerPhase.QUEUED:
            resident.opening.cancel()
            await asyncio.wait((resident.opening,))
        await resident.supervisor.stop()
        log.info("%s is unloaded", resident.name)
        self._forget(resident)

    def _forget(self, resident: PooledModel) -> None:
        if self._residents.get(resident.name) is resident:
            del self._residents[resident.name]
        self._notify()

    def _record_failure(self, name: str, error: HomeportError) -> None:
        backoff = Backoff(self._options.restart_backoff_s, self._options.restart_backoff_limit_s)
        self._failures[name] = _LoadFailure(
            error, time.monotonic() + self._backoffs.setdefault(name, backoff).record_failure()
        )

    def _on_free(self, name: str) -> None:
        resident = self._residents.get(name)
        if resident and resident.opening and resident.supervisor.phase is WorkerPhase.QUEUED:
            resident.is_leaving = True
            resident.opening.cancel()
        self._notify()

    def _notify(self) -> None:
        self._moved.set()
        self._moved.clear()

    async def _wait_for_change(self, limit_s: float) -> None:
        try:
            async with asyncio.timeout(limit_s):
                await self._moved.wait()
        except TimeoutError:
            return

    async def _sweep(self) -> None:
        """Unload what is idle. Raises the last error, once every model has been looked at."""
        failed: Exception | None = None
        for resident in self.entries:
            try:
                await self._review(resident)
            except Exception as error:
                failed = error
        if failed is not None:
            raise failed

    async def _review(self, resident: PooledModel) -> None:
        resident.measure()
        idle_s = self._options.idle_s
        is_idle = idle_s is not None and resident.leases.idle_s >= idle_s
        if is_idle and resident.supervisor.phase is not WorkerPhase.QUEUED:
            await self._unload(resident)


def _no_room(resident: PooledModel, budget: int, waited_s: float) -> Unavailable:
    waited = f" after {waited_s:.0f} s of waiting for models in use" if waited_s >= 1 else ""
    return Unavailable(
        f"{resident.name} needs about {format_size(resident.size_bytes)} and there is no room for it{waited}: "
        f"the memory budget is {format_size(budget)}. Raise it, or unload another model.",
        retry_after_s=10.0,
    )
