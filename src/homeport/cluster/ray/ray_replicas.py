"""What a gateway knows of the replicas, from the controller. Implements `cluster.replicas.Replicas`."""

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import ray

from homeport.cluster.deployments import Snapshot
from homeport.cluster.model_description import ModelDescription
from homeport.cluster.ray.connection import connect, disconnect, find_controller
from homeport.cluster.replicas import ReplicaAddress
from homeport.domain.errors import Conflict
from homeport.domain.models import InstalledModel
from homeport.serving.backoff import Backoff

Describe = Callable[[InstalledModel], tuple[ModelDescription, dict[str, str]]]
"""Describes a model for other nodes; also returns the paths of its files here, by SHA-256. May read much: not cheap."""

_CALL_LIMIT_S = 15.0
_log = logging.getLogger(__name__)


class RayReplicas:
    """The replicas of a cluster, as its controller says.

    It connects this process, unless that is connected already. `token_file` and `host` are this machine's
    (`connection.connect`). While the controller is silent, the replicas last known stay known: requests continue. Used
    on one event loop.
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
        self._node_id = ""
        self._has_connected = False

    async def start(self) -> None:
        """Connect. Raises Unavailable or InvalidRequest as `connect` does, and Conflict if this gateway is refused."""
        if not ray.is_initialized():
            await asyncio.to_thread(connect, self._address, self._token_file, self._host)
            self._has_connected = True
        self._node_id = ray.get_runtime_context().get_node_id()
        self._controller = await asyncio.to_thread(find_controller, self._address)
        refusal = await self._controller.admit_gateway.remote(self._gateway, self._is_database_shared)
        if refusal is not None:
            await self._disconnect()
            raise Conflict(refusal)
        self._following = asyncio.create_task(self._follow())

    async def close(self) -> None:
        """Tell the controller that this gateway ends, and disconnect. Safe to call twice."""
        if self._following is None:
            return
        self._following.cancel()
        await asyncio.gather(self._following, return_exceptions=True)
        self._following = None
        with contextlib.suppress(ray.exceptions.RayError, TimeoutError):
            await _within_limit(self._controller.forget_gateway.remote(self._gateway))
        await self._disconnect()

    def known(self) -> Sequence[ReplicaAddress]:
        """Return the replicas of all models that run now, as last heard."""
        return self._snapshot.replicas

    def wanted(self) -> Mapping[str, int]:
        """Return how many replicas of each model should run now, as last heard."""
        return self._snapshot.wanted

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

    async def _disconnect(self) -> None:
        if self._has_connected:
            self._has_connected = False
            await asyncio.to_thread(disconnect)

    async def _call(self, method: str, *arguments: object) -> Any:
        """Call the controller; None if it does not answer now, since Ray starts it again."""
        try:
            return await _within_limit(getattr(self._controller, method).remote(*arguments))
        except (ray.exceptions.RayError, TimeoutError) as error:
            _log.debug("The cluster's controller does not answer (%s)", type(error).__name__)
            return None

    async def _follow(self) -> None:
        backoff = Backoff(0.5, 5.0)
        while True:
            try:
                snapshot = await _within_limit(self._controller.changes.remote(self._gateway, self._snapshot.version))
                backoff.reset()
            except (ray.exceptions.RayError, TimeoutError) as error:
                if not backoff.failures:
                    _log.warning("The cluster's controller is silent (%s)", type(error).__name__)
                await asyncio.sleep(backoff.record_failure())
                continue
            if (snapshot.replicas, snapshot.failures) != (self._snapshot.replicas, self._snapshot.failures):
                self._news.set()
            self._snapshot = snapshot


async def _within_limit(answer: Awaitable[Any]) -> Any:
    async with asyncio.timeout(_CALL_LIMIT_S):
        return await answer
