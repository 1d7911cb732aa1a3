"""Replicas in processes of their own on this machine, and a gateway's view of them. Nothing places or restarts them."""

import asyncio
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

import msgspec

from bench import processes
from bench.cluster.model import EngineOptions
from bench.processes import Child
from homeport.cluster.replicas import ReplicaAddress
from homeport.domain.errors import Unavailable
from homeport.domain.models import InstalledModel


class StaticReplicas:
    """A `homeport.cluster.replicas.Replicas` of a list of replicas, which `set` replaces."""

    def __init__(self, addresses: Sequence[ReplicaAddress]) -> None:
        self._addresses = tuple(addresses)
        self._has_changed = asyncio.Event()

    def set(self, addresses: Sequence[ReplicaAddress]) -> None:
        """Tell the gateway which replicas there are now."""
        self._addresses = tuple(addresses)
        self._has_changed.set()

    def known(self) -> Sequence[ReplicaAddress]:
        """Return the replicas."""
        return self._addresses

    def wanted(self) -> Mapping[str, int]:
        """Return how many replicas of each model there should be: as many as there are."""
        return Counter(each.model for each in self._addresses)

    def gateways(self) -> int:
        """Return how many gateways there are."""
        return 1

    def can_place(self) -> bool:
        """The list is always at hand."""
        return True

    async def changed(self) -> None:
        """Wait for a change."""
        await self._has_changed.wait()
        self._has_changed.clear()

    async def want(self, model: InstalledModel) -> None:
        """Start nothing."""

    def failure(self, model: str) -> str | None:  # noqa: ARG002 - part of the protocol
        """No replica fails to load."""
        return None

    async def stop(self, model: str) -> bool:  # noqa: ARG002 - part of the protocol
        """End nothing."""
        return False

    async def report(self, demand: Mapping[str, int]) -> None:
        """Ignore the demand."""


class Replica(msgspec.Struct):
    """A running host."""

    child: Child
    address: ReplicaAddress


@contextmanager
def replicas(
    count: int, engine: EngineOptions, address: str = "127.0.0.1", prefix: Sequence[str] = ()
) -> Iterator[list[Replica]]:
    """Run some replicas until the context ends. `prefix`: the command that runs their programs, such as `ip netns`."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        options = msgspec.json.encode(engine).decode()
        command = [*prefix, sys.executable, "-m", "bench.cluster.replica"]
        children = [
            stack.enter_context(processes.running([*command, f"r{number}", address, folder, options], pipes=True))
            for number in range(count)
        ]
        yield [Replica(child, _address(child)) for child in children]


def _address(child: Child) -> ReplicaAddress:
    """Read the line that a replica prints. Raises Unavailable with its last output if it ended."""
    stdout = child.process.stdout
    line = stdout.readline() if stdout else b""
    if not line:
        raise Unavailable(f"A replica did not start: {child.last_output()}")
    return msgspec.json.decode(line, type=ReplicaAddress)
