"""What a gateway knows of the replicas, from the controller. Implements `cluster.replicas.Replicas`."""

import asyncio
import logging
import math
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import ray

from homeport.cluster.deployments import Snapshot
from homeport.cluster.model_description import ModelDescription
from homeport.cluster.ray.connection import connect, disconnect, find_controller
from homeport.cluster.ray.nodes import check_head
from homeport.cluster.replicas import ReplicaAddress
from homeport.domain.errors import Conflict, HomeportError, Unavailable
from homeport.domain.models import InstalledModel
from homeport.serving.backoff import Backoff

Describe = Callable[[InstalledModel], tuple[ModelDescription, dict[str, str]]]
"""Describes a model for other nodes; also returns the paths of its files here, by SHA-256. May read much: not cheap."""

_CALL_LIMIT_S = 15.0
_JOIN_LIMIT_S = 60.0
"""A controller that has just been started answers within this time."""

_SILENT_S = 20.0
"""A controller that lives answers after `POLL_S` at the latest, and Ray needs some seconds to start it again."""
_log = logging.getLogger(__name__)


class RayReplicas:
    """The replicas of a cluster, as its controller says.

    It connects this process, unless that is connected already. `token_file` and `host` are this machine's
    (`connection.connect`). While the controller is silent, the replicas last known stay known: requests continue. When
    the head was started again, it connects again, as soon as this machine's node has. One at a time in a process, on
    one event loop.
    """

    def __init__(
        self, address: str, token_file: Path, host: str | None, describe: Describe, *, is_database_shared: bool
    ) -> None:
        self._address = address
        self._token_file = token_file
        self._host = host
        self._describe = describe
        self._is_database_shared = is_database_shared
        self._gateway = secrets.token_hex(8)
        self._snapshot = Snapshot(-1, (), {})
        self._descriptions: dict[str, tuple[ModelDescription, dict[str, str]]] = {}
        self._news = asyncio.Event()
        self._following: asyncio.Task[None] | None = None
        self._controller: Any = None
        self._cluster = b""
        self._node_id = ""
        self._has_connected = False
        self._heard_at = -math.inf

    async def start(self) -> None:
        """Connect. Raises Unavailable or InvalidRequest as `connect` does, and Conflict if this gateway is refused."""
        self._cluster = await asyncio.to_thread(check_head, self._address, self._token_file)
        try:
            await self._join()
        except Conflict:
            await self._disconnect()
            raise
        self._heard_at = time.monotonic()
        self._following = asyncio.create_task(self._follow())

    async def close(self) -> None:
        """Tell the controller that this gateway ends, and disconnect. Safe to call twice."""
        if self._following is None:
            return
        self._following.cancel()
        await asyncio.gather(self._following, return_exceptions=True)
        self._following = None
        await self._call("forget_gateway", self._gateway)
        await self._disconnect()

    def known(self) -> Sequence[ReplicaAddress]:
        """Return the replicas of all models that run now, as last heard."""
        return self._snapshot.replicas

    def wanted(self) -> Mapping[str, int]:
        """Return how many replicas of each model should run now, as last heard."""
        return self._snapshot.wanted

    def gateways(self) -> int:
        """Return how many gateways the cluster has, as last heard."""
        return self._snapshot.gateways

    def can_place(self) -> bool:
        """Whether the controller has answered lately."""
        return time.monotonic() - self._heard_at < _SILENT_S

    async def changed(self) -> None:
        """Wait until `known` or a `failure` has changed since the last return."""
        await self._news.wait()
        self._news.clear()

    async def want(self, model: InstalledModel) -> None:
        """Ask for a replica of these files."""
        if model.digest not in self._descriptions:
            self._descriptions[model.digest] = await asyncio.to_thread(self._describe, model)
        description, paths = self._descriptions[model.digest]
        await self._call("want", description, self._node_id, paths)

    def failure(self, model: str) -> str | None:
        """Return why a model cannot get a replica now; None: it may get one."""
        return self._snapshot.failures.get(model)

    async def stop(self, model: str) -> bool:
        """End all replicas of a model. False if it has none."""
        return bool(await self._call("stop", model))

    async def report(self, demand: Mapping[str, int]) -> None:
        """Tell how many requests of each model this gateway runs or holds waiting."""
        await self._call("report_demand", self._gateway, dict(demand))

    async def _join(self) -> None:
        """Connect this process unless it is, and register this gateway. Raises as `start` does."""
        if not ray.is_initialized():
            self._has_connected = True
            await asyncio.to_thread(connect, self._address, self._token_file, self._host)
        self._node_id = ray.get_runtime_context().get_node_id()
        controller = await asyncio.to_thread(find_controller, self._address)
        try:
            async with asyncio.timeout(_JOIN_LIMIT_S):
                refusal = await controller.admit_gateway.remote(self._gateway, self._is_database_shared)
        except (ray.exceptions.RayError, TimeoutError) as error:
            raise Unavailable(
                f"The controller of the cluster at {self._address} does not answer: {type(error).__name__}"
            ) from error
        if refusal is not None:
            raise Conflict(refusal)
        self._controller = controller

    async def _join_again(self) -> None:
        """Connect to the head if it was started again: Ray takes that for another cluster, and answers nothing else."""
        try:
            cluster = await asyncio.to_thread(check_head, self._address, self._token_file)
            if cluster == self._cluster:
                return
            if self._controller is not None:
                _log.warning("The head of the cluster was started again: this gateway connects again")
                self._controller = None
                await asyncio.to_thread(disconnect)
            await self._join()
            self._cluster = cluster
        except HomeportError as error:
            _log.info("The cluster cannot be joined again now: %s", error.message)
        except Exception:  # whatever Ray raises of a head that is just starting; the next attempt follows
            _log.exception("The cluster cannot be joined again now")

    async def _disconnect(self) -> None:
        if self._has_connected:
            self._has_connected = False
            await asyncio.to_thread(disconnect)

    async def _call(self, method: str, *arguments: object) -> Any:
        """Call the controller; None if it does not answer now, since Ray starts it again."""
        if self._controller is None:
            return None
        try:
            return await _within_limit(getattr(self._controller, method).remote(*arguments))
        except (ray.exceptions.RayError, TimeoutError) as error:
            _log.debug("The cluster's controller does not answer (%s)", type(error).__name__)
            return None

    async def _follow(self) -> None:
        backoff = Backoff(0.5, 5.0)
        while True:
            snapshot = await self._call("changes", self._gateway, self._snapshot.version)
            if snapshot is None:
                if not backoff.failures:
                    _log.warning("The cluster's controller is silent")
                await asyncio.sleep(backoff.record_failure())
                await self._join_again()
                continue
            backoff.reset()
            if (snapshot.replicas, snapshot.failures) != (self._snapshot.replicas, self._snapshot.failures):
                self._news.set()
            self._snapshot = snapshot
            self._heard_at = time.monotonic()


async def _within_limit(answer: Awaitable[Any]) -> Any:
    async with asyncio.timeout(_CALL_LIMIT_S):
        return await answer
