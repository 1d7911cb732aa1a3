"""A replica as Ray Serve runs it: provides the model's files, hosts the worker, and reports to the controller.

Requests do not come through Serve: gateways connect to the `ReplicaHost` directly.
"""

import asyncio
import contextlib
import logging
import secrets
from typing import Any

import msgspec
import ray
from ray import serve

from homeport.cluster.deployments import ReplicaReport
from homeport.cluster.model_description import ModelDescription
from homeport.cluster.node_models import NodeModels, find_node_models
from homeport.cluster.ray.connection import CONTROLLER, NAMESPACE
from homeport.cluster.ray.files import provide_model
from homeport.cluster.replica_host import ReplicaHost
from homeport.cluster.replicas import ReplicaAddress
from homeport.domain.errors import HomeportError, Unavailable
from homeport.domain.models import InstalledModel

DEPLOYMENT = "replica"
"""The name of the one deployment of a model's application."""

REPORT_S = 1.0
DRAIN_S = 600.0
"""Requests of a replica that is stopped get this long to finish."""

_REPORT_TIMEOUT_S = 5.0
_log = logging.getLogger(__name__)


class ModelReplica:
    """One replica of one model. `description`: the model's, encoded; `node_models`: names what the node has."""

    async def __init__(self, description: bytes, node_models: str) -> None:  # type: ignore[misc]  # Serve awaits it
        self._description = msgspec.msgpack.decode(description, type=ModelDescription)
        self._controller = ray.get_actor(CONTROLLER, NAMESPACE)
        context = ray.get_runtime_context()
        self._node_id, self._actor = context.get_node_id(), context.get_actor_name() or ""
        self._address: ReplicaAddress | None = None
        try:
            self._host = await self._start(find_node_models(node_models))
        except HomeportError as error:
            await self._controller.fail.remote(self._description.name, self._description.digest, error.message)
            raise
        self._reporting = asyncio.create_task(self._report_for_ever())

    async def check_health(self) -> None:
        """Raise Unavailable if the worker does not run; Serve then replaces this replica. Serve calls it."""
        if not self._host.is_healthy:
            raise Unavailable(f"The worker of {self._description.name} does not run.")

    async def __del__(self) -> None:
        """Let the requests finish, then end the worker. Serve calls it and awaits it."""
        host, address = getattr(self, "_host", None), self._address
        if host is None or address is None:
            return
        self._address = msgspec.structs.replace(address, is_draining=True)
        await self._report()
        await host.drain(DRAIN_S)
        self._reporting.cancel()
        await self._controller.forget_replica.remote(address.replica)
        await host.close()

    async def _start(self, node: NodeModels) -> ReplicaHost:
        description = self._description
        provided = {each.name: await self._provide(each, node) for each in description.all}
        model = provided.pop(description.name)
        name = f"{description.name}-{secrets.token_hex(4)}"
        where = ray.util.get_node_ip_address()
        host = ReplicaHost(
            node.launch_message(model, provided), node.options, node.spool / name, replica=name, node=where
        )
        await _listen(host, where, node.ports)
        try:
            await host.ready()
        except BaseException:
            await host.close()
            raise
        self._slots = node.options.slots
        self._address = ReplicaAddress(name, description.name, description.digest, where, where, host.port, host.secret)
        return host

    async def _provide(self, description: ModelDescription, node: NodeModels) -> InstalledModel:
        model = await provide_model(description, node, self._controller)
        names = {path.name: str(path) for path in model.files.values()}
        await self._controller.hold.remote(description.digest, self._node_id, names)
        return model

    async def _report_for_ever(self) -> None:
        while True:
            await self._report()
            await asyncio.sleep(REPORT_S)

    async def _report(self) -> None:
        """Tell the controller, also one that was started again. Without it, the replica continues."""
        if self._address is None:
            return
        report = ReplicaReport(
            address=self._address,
            node_id=self._node_id,
            actor=self._actor,
            slots=self._slots,
            running=self._host.running,
        )
        with contextlib.suppress(ray.exceptions.RayError, TimeoutError):
            async with asyncio.timeout(_REPORT_TIMEOUT_S):
                await self._controller.report_replica.remote(report)


def replica_application(description: ModelDescription, n_replicas: int, gpus: int, node_models: str) -> Any:
    """Return the Serve application of a model. Only a change of the model's files or GPUs restarts its replicas."""
    resources = {"num_cpus": 1, "num_gpus": gpus, "memory": description.memory_bytes or None}
    deployment = serve.deployment(
        ModelReplica,
        name=DEPLOYMENT,
        num_replicas=n_replicas,
        ray_actor_options={name: value for name, value in resources.items() if value is not None},
        # One worker uses all cores of its node, so a second one there would only share them.
        max_replicas_per_node=None if gpus else 1,
        health_check_period_s=2.0,
        health_check_timeout_s=10.0,
        graceful_shutdown_wait_loop_s=0.1,
        graceful_shutdown_timeout_s=DRAIN_S + 30.0,
    )
    # Ray says that it manages versions itself: it makes a new one of each call, so that each new number of replicas
    # would replace all of them.
    deployment = deployment.options(_internal=True, version=f"{description.digest}-{gpus}")
    return deployment.bind(msgspec.msgpack.encode(description), node_models)


async def _listen(host: ReplicaHost, address: str, ports: range) -> None:
    """Start the host on the first free port. Raises Unavailable if none is."""
    for port in ports or (0,):
        try:
            await host.start(address, port)
        except OSError:
            continue
        return
    raise Unavailable(f"No port from {ports.start} to {ports.stop - 1} of {address} is free for a replica.")
