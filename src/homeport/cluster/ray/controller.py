"""The controller: one actor on the head that knows what the cluster runs, and has Ray Serve run it.

Gateways and replicas call it; it calls only Serve. If it ends, Ray starts it again, replicas report within a second,
and what was asked for is in a file of the head's home. Meanwhile requests continue, without new replicas.
"""

import asyncio
import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from ray import serve

from homeport.cluster.deployments import Deployments, ReplicaReport, Snapshot, Target
from homeport.cluster.model_description import ModelDescription
from homeport.cluster.ray.applications import application_name, count_running, deploy, kill_replica
from homeport.cluster.ray.files import FileHolders
from homeport.cluster.ray.node_states import drain, node_reports
from homeport.cluster.ray.replica import REPORT_S
from homeport.cluster.scaling import ScalingPolicy
from homeport.domain.clusters import ClusterReport, NodeReport, ScalingLimits

TICK_S = 0.25
POLL_S = 4.0
"""A gateway that waits for changes gets an answer after this time at the latest."""

_NODES_EVERY_TICKS = 4
_READERS_IDLE_S = 300.0
_REPLACE_WAIT_S = 30.0
"""New files of a model wait so long for its replicas to be known to Serve, which would kill those that are not."""
_log = logging.getLogger(__name__)


class Controller:
    """The actor. `state_file`: what survives its end; `node_models`: the `module:function` by which nodes find models.

    All methods are called from other processes, through Ray.
    """

    async def __init__(  # type: ignore[misc]  # Ray awaits it
        self, state_file: str, node_models: str, policy: ScalingPolicy | None = None
    ) -> None:
        self._state_file = Path(state_file)
        self._node_models = node_models
        # Gateways tell a controller that was started again by its versions, which never return to earlier ones.
        self._deployments = Deployments(policy, version=time.time_ns())
        self._deployments.restore(self._state_file)
        self._holders = FileHolders()
        self._readers_used_at = 0.0
        self._applied: dict[str, Target] = {}
        self._applying: set[str] = set()
        self._replacing_since: dict[str, float] = {}
        self._nodes: tuple[NodeReport, ...] = ()
        self._drained: set[str] = set()
        self._changed = asyncio.Condition()
        self._told_version = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_started = asyncio.Event()
        self._add_task(self._run())

    async def started(self) -> None:
        """Wait until Serve runs and the controller keeps the cluster as it should be."""
        await self._is_started.wait()

    async def admit_gateway(self, gateway: str, is_database_shared: bool) -> str | None:
        """Accept a gateway, or return why it is refused."""
        return self._deployments.admit_gateway(gateway, is_database_shared=is_database_shared)

    async def forget_gateway(self, gateway: str) -> None:
        """Note that a gateway ends."""
        self._deployments.forget_gateway(gateway)

    async def changes(self, gateway: str, version: int) -> Snapshot:
        """Return what gateways need to know as soon as it is not `version` any more, or after some seconds."""
        await self._is_started.wait()
        self._deployments.keep_gateway(gateway)
        if self._deployments.version == version:
            try:
                async with asyncio.timeout(POLL_S), self._changed:
                    await self._changed.wait()
            except TimeoutError:
                pass
        return self._deployments.snapshot()

    async def want(self, description: ModelDescription, node_id: str, paths: dict[str, str]) -> None:
        """A gateway on a node has requests for a model, and the model's files."""
        for each in description.all:
            self._hold(each, node_id, paths)
        self._deployments.want(description)
        self._save()

    async def report_demand(self, gateway: str, demand: Mapping[str, int]) -> None:
        """Note what a gateway runs and holds waiting, by model."""
        self._deployments.report_demand(gateway, demand)

    async def scale(
        self, name: str, limits: ScalingLimits, described: tuple[ModelDescription, dict[str, str]] | None, node_id: str
    ) -> bool:
        """Set a model's limits; False if nothing is known of it. `described`: the model, and its files on a node."""
        if described is not None:
            for each in described[0].all:
                self._hold(each, node_id, described[1])
        is_known = self._deployments.scale(name, limits, described[0] if described else None)
        self._save()
        return is_known

    async def stop(self, name: str) -> bool:
        """End the replicas of a model until it is wanted again. False if it has none."""
        return self._deployments.stop(name)

    async def report_replica(self, report: ReplicaReport) -> None:
        """A replica lives."""
        self._deployments.report_replica(report)
        await self._tell()

    async def forget_replica(self, replica: str) -> None:
        """A replica has ended."""
        self._deployments.forget_replica(replica)
        await self._tell()

    async def fail(self, name: str, digest: str, reason: str) -> None:
        """A model does not load on a node."""
        _log.warning("%s does not load: %s", name, reason)
        self._deployments.fail(name, digest, reason)
        await self._tell()

    async def hold(self, digest: str, node_id: str, paths: dict[str, str]) -> None:
        """A node has the files of a model."""
        self._holders.add(digest, node_id, paths)

    async def file_holder(self, digest: str, tried: list[str]) -> tuple[str, Any, dict[str, str]] | None:
        """Return a node that has a model's files and is not among `tried`, a reader there, and the paths."""
        self._readers_used_at = asyncio.get_running_loop().time()
        return self._holders.find(digest, [*tried, *self._drained])

    async def drain(self, name: str) -> str | None:
        """Let a node's replicas move elsewhere, after their requests. Returns why not, None if it has begun."""
        found = [node for node in self._nodes if name in (node.address, node.name) or node.id.startswith(name)]
        if len(found) != 1:
            known = ", ".join(f"{node.address} ({node.name})" for node in self._nodes)
            return f"The cluster has {len(found) or 'no'} nodes {name!r:.100}: it has {known}."
        (node,) = found
        if node.is_head:
            return f"{node.address} is the head, without which the cluster does not run: it cannot be drained."
        refusal = await asyncio.to_thread(drain, node.id)
        if refusal is None:
            self._drained.add(node.id)
            self._holders.forget_node(node.id)
        return refusal

    async def status(self) -> ClusterReport:
        """Return the nodes, replicas and models, for operators."""
        await self._read_nodes()
        snapshot = self._deployments.snapshot()
        return ClusterReport(
            nodes=self._nodes,
            replicas=tuple(self._deployments.statuses()),
            limits=dict(self._deployments.limits()),
            failures=snapshot.failures,
        )

    async def _run(self) -> None:
        await asyncio.to_thread(self._start_serve)
        if self._applied:  # started again: the replicas that live report before gateways learn of them
            await asyncio.sleep(2 * REPORT_S)
        self._is_started.set()
        tick = 0
        while True:
            try:
                if tick % _NODES_EVERY_TICKS == 0:
                    await self._read_nodes()
                    self._end_idle_readers()
                self._deployments.forget_silent()
                for actor in self._deployments.take_lost():
                    self._add_task(self._end_lost(actor))
                self._apply_targets()
                await self._tell()
            except Exception:
                _log.exception("The controller failed; it tries again")
            tick += 1
            await asyncio.sleep(TICK_S)

    def _start_serve(self) -> None:
        """Start Serve without its HTTP proxy; if this controller was started again, find what runs there."""
        serve.start(proxy_location="Disabled")
        running = serve.status().applications
        for name, target in self._deployments.targets().items():
            if application_name(name) in running:
                self._applied[name] = msgspec.structs.replace(target, n_replicas=-1)
                self._deployments.want(target.description)

    async def _tell(self) -> None:
        if self._told_version != self._deployments.version:
            self._told_version = self._deployments.version
            async with self._changed:
                self._changed.notify_all()

    async def _read_nodes(self) -> None:
        """Look at Ray's list of nodes. Replicas of nodes that have ended are forgotten at once."""
        nodes = await asyncio.to_thread(node_reports, frozenset(self._drained))
        gone = {node.id for node in self._nodes} - {node.id for node in nodes}
        for node_id in gone:
            self._deployments.forget_node(node_id)
            self._holders.forget_node(node_id)
            self._drained.discard(node_id)
        self._nodes = nodes

    def _apply_targets(self) -> None:
        for name, target in self._deployments.targets().items():
            misfit = self._misfit(target)
            self._deployments.set_misfit(name, misfit)
            applied = self._applied.get(name)
            # A replica that no node can hold would wait in Ray, which ends it only minutes after it is not wanted.
            waits = applied is None and (misfit is not None or not target.n_replicas)
            if name in self._applying or target == applied or waits:
                continue
            self._applying.add(name)
            self._add_task(self._apply(name, target))

    async def _apply(self, name: str, target: Target) -> None:
        try:
            if await self._can_apply(name, target):
                _log.info("%s shall have %d replicas", name, target.n_replicas)
                await asyncio.to_thread(deploy, name, target, self._node_models)
                self._applied[name] = target
                self._replacing_since.pop(name, None)
        except Exception:
            _log.exception("%s could not be deployed", name)
        finally:
            self._applying.discard(name)

    async def _can_apply(self, name: str, target: Target) -> bool:
        """Return whether no request is lost if Serve replaces a model's replicas now; True if they are not replaced.

        A replica that takes requests may still be starting for Serve, which kills such a one without asking it.
        """
        applied = self._applied.get(name)
        if applied is None or not target.n_replicas or applied.is_same_version(target):
            return True
        now = time.monotonic()
        if now - self._replacing_since.setdefault(name, now) > _REPLACE_WAIT_S:
            return True
        return await asyncio.to_thread(count_running, name) >= self._deployments.n_accepting(name)

    async def _end_lost(self, actor: str) -> None:
        _log.warning("%s has been silent for too long: Ray shall replace it", actor)
        await asyncio.to_thread(kill_replica, actor)

    def _misfit(self, target: Target) -> str | None:
        """Return why no node is large enough for a replica, whatever else runs there."""
        memory, gpus = target.description.memory_bytes, target.gpus
        nodes = [node for node in self._nodes if node.state == "alive"]
        if not nodes or any(node.cpus >= 1 and node.gpus >= gpus and node.memory_bytes >= memory for node in nodes):
            return None
        needs = [f"{memory / 1e9:.1f} GB of memory", *([f"{gpus} GPUs"] if gpus else [])]
        return f"No node of the cluster is large enough for {target.description.name}: it needs {' and '.join(needs)}."

    def _hold(self, description: ModelDescription, node_id: str, paths: dict[str, str]) -> None:
        names = {file.name: paths[file.sha256] for file in description.files if file.sha256 in paths}
        if len(names) == len(description.files):
            self._holders.add(description.digest, node_id, names)

    def _end_idle_readers(self) -> None:
        now = asyncio.get_running_loop().time()
        if self._readers_used_at and now - self._readers_used_at > _READERS_IDLE_S:
            self._readers_used_at = 0.0
            self._holders.end_readers()

    def _save(self) -> None:
        self._deployments.save(self._state_file)

    def _add_task(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
