"""Serving on a cluster: requests go to replicas on nodes. Implements `domain.ports.serving.Serving`.

Knows nothing of Ray: `replicas.Replicas` is what places and finds replicas.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import msgspec

from homeport.cluster.replica_links import ReplicaLinks
from homeport.cluster.replicas import Replicas
from homeport.cluster.retrying_stream import RETRIES, RetryingStream
from homeport.cluster.router import PrefixAffinity, Router
from homeport.cluster.summed_stats import sum_stats
from homeport.domain.models import EngineStats, InstalledModel, LoadedModel
from homeport.domain.operations import ClusterStats, ReplicaStats, WorkerReport
from homeport.domain.ports.serving import IdleGate, More
from homeport.domain.text import TokenRequest
from homeport.domain.worker_messages import EngineRequest
from homeport.serving.background_loops import BackgroundLoops
from homeport.serving.background_requests import BackgroundRequests
from homeport.serving.idle_gate import IdleGatePolicy
from homeport.serving.options import ServingOptions
from homeport.serving.request_admission import RequestAdmission
from homeport.serving.workers.stream import WorkerStream

_REPORT_S = 1.0


class ClusterServing:
    """Runs requests on the replicas that `replicas` knows. Built, started and closed on one event loop.

    `router` makes one model's routing policy; None: `PrefixAffinity`. A model has `slots` for each of its
    replicas, and one queue in each gateway. Background requests are paused by the replica's host, which knows the
    callers of all gateways. `close` ends the links, not the replicas.
    """

    def __init__(
        self,
        replicas: Replicas,
        options: ServingOptions | None = None,
        router: Callable[[], Router] | None = None,
        loops: BackgroundLoops | None = None,
    ) -> None:
        self._options = options or ServingOptions()
        self._replicas = replicas
        self._loops = loops or BackgroundLoops()
        self._admission = RequestAdmission(self._options)
        self._links = ReplicaLinks(replicas, self._options, router or partial(PrefixAffinity, self._options.slots))
        self._requests: Counter[str] = Counter()
        self._tasks: list[asyncio.Task[None]] = []
        self._is_closed = False
        self._retries: Counter[str] = Counter()
        self.background = BackgroundRequests(IdleGatePolicy(always_opens=True))

    @property
    def idle_gate(self) -> IdleGate:
        """The gate that background work waits for before it sends a request. It opens even if callers always wait."""
        return self.background

    @property
    def is_ready(self) -> bool:
        """Whether this gateway accepts requests and is not cut off from the cluster.

        A model without a replica makes no gateway unready: requests for it wait until it has one.
        """
        return self._admission.accepts and not self._links.is_cut_off

    async def start(self) -> None:
        """Start to accept requests, and connect to the replicas that are known. Loads nothing."""
        self._links.sync()
        self._tasks = [
            self._loops.start("cluster_replicas", self._links.follow, 0.0),
            self._loops.start("cluster_demand", self._report_demand, _REPORT_S),
        ]
        self._admission.accepts = True

    async def preload(self, models: Sequence[InstalledModel]) -> None:
        """Wait until each model has a replica that takes requests. Raises Unavailable if one does not get it."""
        for model in models:
            await self._links.session_for(model, TokenRequest())

    async def open(
        self,
        model: InstalledModel,
        request: EngineRequest,
        *,
        is_background: bool = False,
        holder: str = "",
        more: More | None = None,
    ) -> RetryingStream:
        """Admit a request, and send it to a replica, after waiting for one if necessary.

        Raises Overloaded or Unavailable before any work. A background request takes no caller's place in the queue, and
        pauses while callers wait. Holders share a model's places.
        """
        name = model.facts.name
        workers = max(1, self._links.accepting(name))
        ticket = self._admission.admit(name, holder, is_background=is_background, workers=workers)
        foreground = None if is_background else self.background.add_foreground()
        self._requests[name] += 1

        def release() -> None:
            self._requests[name] -= 1
            if foreground is not None:
                foreground.finish()
            ticket.release()
            self._links.notify()

        async def open_next(on_end: Callable[[], None]) -> WorkerStream:
            session = await self._links.session_for(model, request)
            on_first = foreground.on_first_event if foreground else None
            return await session.open(request, on_end, on_first, is_background=is_background, more=more)

        stream = RetryingStream(name, open_next, release, lambda: not self._is_closed, self._count_retry)
        await stream.open()
        return stream

    async def stop(self, model: str, wait_s: float = 0.0) -> bool:
        """End all replicas of a model, after waiting up to `wait_s` for this gateway's requests. False if none runs."""
        try:
            async with asyncio.timeout(wait_s):
                await self._links.wait_until(lambda: not self._requests[model])
        except TimeoutError:
            pass
        return await self._replicas.stop(model)

    async def drain(self, timeout_s: float) -> None:
        """Refuse new requests, let running ones finish for up to `timeout_s`, then end every link."""
        await self._admission.finish(timeout_s)
        await self.close()

    async def close(self) -> None:
        """End every link now. Open streams fail. Safe to call twice."""
        self._is_closed = True
        self._admission.accepts = False
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.background.close()
        await self._links.close("the server stopped")

    def loaded(self, model: str) -> LoadedModel | None:
        """Return facts about a model that some replica has loaded now, else None."""
        for connection in self._links.of(model):
            if (session := connection.accepting_session) is not None:
                return msgspec.structs.replace(session.loaded, prompts=session.gauges.prompts)
        return None

    def in_use(self, model: str) -> int:
        """Return how many of this gateway's requests run on a model or wait for it now."""
        return self._requests[model]

    def stats(self) -> dict[str, EngineStats]:
        """Return the latest stats of every model that has a replica, those of its replicas together, by real name."""
        found: dict[str, list[EngineStats]] = {}
        for replica in self._replica_stats():
            found.setdefault(replica.model, []).append(replica.stats)
        return {model: sum_stats(stats) for model, stats in found.items()}

    def worker_bytes(self) -> dict[str, int]:
        """Return the resident memory of every model's workers when it was last measured, by real name."""
        found: Counter[str] = Counter()
        for report in self.worker_status():
            found[report.model] += report.memory_bytes
        return dict(found)

    def worker_status(self) -> Sequence[WorkerReport]:
        """Return the state of every replica, for operators, by model, node and replica."""
        reports = (connection.report for connection in self._links.connections)
        return tuple(sorted(reports, key=lambda each: (each.model, each.node, each.replica)))

    def cluster_stats(self) -> ClusterStats:
        """Return the stats of every replica, and what this gateway counts of all models that it has seen."""
        links, wanted = self._links, self._replicas.wanted()
        models = sorted({*wanted, *self._requests, *(each.address.model for each in links.connections)})
        return ClusterStats(
            replicas=tuple(sorted(self._replica_stats(), key=lambda each: (each.model, each.node, each.replica))),
            wanted={model: wanted.get(model, 0) for model in models},
            ready={model: links.accepting(model) for model in models},
            waiting={model: links.waiting(model) for model in models},
            links_lost={model: links.lost(model) for model in models},
            gateways=self._replicas.gateways(),
            retries={reason: self._retries[reason] for reason in RETRIES},
        )

    def retries(self) -> Mapping[str, int]:
        """Return how often requests were sent again, by the reason: a code of `cluster.messages`."""
        return dict(self._retries)

    def _replica_stats(self) -> Iterator[ReplicaStats]:
        for connection in self._links.connections:
            if (session := connection.session) is not None and session.is_loaded:
                address = connection.address
                yield ReplicaStats(address.model, address.node, address.replica, session.gauges)

    def _count_retry(self, code: str) -> None:
        self._retries[code] += 1

    async def _report_demand(self) -> None:
        self._links.sync()
        await self._replicas.report({model: count for model, count in self._requests.items() if count > 0})
