"""Replicas in this process, on loopback: the cluster's links and hosts as they are, without what places replicas."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from homeport.cluster.replica_host import ReplicaHost
from homeport.cluster.replicas import ReplicaAddress
from homeport.domain.errors import HomeportError
from homeport.domain.models import InstalledModel
from homeport.serving.options import ServingOptions
from homeport.serving.workers.frames import LaunchMessage

Launch = Callable[[InstalledModel], LaunchMessage]


class LocalCluster:
    """Starts one replica of each model that is wanted, and more with `add`. Several gateways may share it.

    `failures`: why models cannot start; `wanted`: how many requests waited, at each call; `demand`: what gateways
    reported last. If `is_stuck`, no replica is started on demand; if `is_silent`, gateways hear nothing of it.
    """

    def __init__(self, options: ServingOptions, launch: Launch, spool: Path) -> None:
        self.hosts: dict[str, ReplicaHost] = {}
        self.addresses: dict[str, ReplicaAddress] = {}
        self.failures: dict[str, str] = {}
        self.wanted: list[str] = []
        self.demand: dict[str, int] = {}
        self.is_stuck = False
        self.is_silent = False
        self.n_gateways = 0
        self.version = 0
        self.changed = asyncio.Event()
        self._options = options
        self._launch = launch
        self._spool = spool
        self._loading: set[asyncio.Task[None]] = set()
        self._n_started = 0

    def view(self) -> "LocalReplicas":
        """Return what one gateway sees."""
        self.n_gateways += 1
        return LocalReplicas(self)

    def update(self) -> None:
        """Tell all gateways that something has changed."""
        self.version += 1
        self.changed.set()
        self.changed.clear()

    async def add(self, model: InstalledModel, spool_bytes: int = 1 << 30) -> ReplicaHost:
        """Start another replica; it may be loading."""
        self._n_started += 1
        name = f"r{self._n_started}"
        host = ReplicaHost(self._launch(model), self._options, self._spool / name, name, "here", spool_bytes)
        await host.start("127.0.0.1")
        self.hosts[name] = host
        self.addresses[name] = ReplicaAddress(
            name, model.facts.name, model.digest, "here", "127.0.0.1", host.port, host.secret
        )
        self.update()
        task = asyncio.create_task(self._load(name, model.facts.name, host))
        self._loading.add(task)
        task.add_done_callback(self._loading.discard)
        return host

    async def want(self, model: InstalledModel) -> None:
        """Start a replica of a model that has none."""
        self.wanted.append(model.facts.name)
        if not self.is_stuck and not any(each.model == model.facts.name for each in self.addresses.values()):
            self.failures.pop(model.facts.name, None)
            try:
                await self.add(model)
            except HomeportError as error:
                self.failures[model.facts.name] = error.message

    async def end(self, name: str) -> None:
        """End one replica; gateways are told."""
        self.addresses.pop(name, None)
        host = self.hosts.pop(name)
        self.update()
        await host.close()

    async def close(self) -> None:
        """End all replicas."""
        for name in tuple(self.hosts):
            await self.end(name)
        await asyncio.gather(*self._loading)

    async def _load(self, name: str, model: str, host: ReplicaHost) -> None:
        try:
            await host.ready()
        except HomeportError as error:
            if name in self.hosts:
                self.failures[model] = error.message.removeprefix(f"{model} does not load: ")
                await self.end(name)


class LocalReplicas:
    """A `Replicas` for one gateway."""

    def __init__(self, cluster: LocalCluster) -> None:
        self._cluster = cluster
        self._seen = 0

    def known(self) -> Sequence[ReplicaAddress]:
        """Return all replicas."""
        hosts = self._cluster.hosts
        return [
            msgspec.structs.replace(address, is_draining=name in hosts and hosts[name].is_draining)
            for name, address in self._cluster.addresses.items()
        ]

    def wanted(self) -> Mapping[str, int]:
        """Return how many replicas each model has."""
        return Counter(address.model for address in self._cluster.addresses.values())

    def gateways(self) -> int:
        """Return how many gateways there are."""
        return self._cluster.n_gateways

    def can_place(self) -> bool:
        """Whether models may get replicas."""
        return not self._cluster.is_silent

    async def changed(self) -> None:
        """Wait for a change."""
        while self._seen == self._cluster.version:
            await self._cluster.changed.wait()
        self._seen = self._cluster.version

    async def want(self, model: InstalledModel) -> None:
        """Start a replica of a model that has none."""
        await self._cluster.want(model)

    def failure(self, model: str) -> str | None:
        """Return why a model cannot start."""
        return self._cluster.failures.get(model)

    async def stop(self, model: str) -> bool:
        """End a model's replicas."""
        names = [name for name, address in self._cluster.addresses.items() if address.model == model]
        for name in names:
            await self._cluster.end(name)
        return bool(names)

    async def report(self, demand: Mapping[str, int]) -> None:
        """Note the demand."""
        self._cluster.demand = dict(demand)
