"""The port between a gateway's serving and whatever knows the replicas of models. Knows nothing of Ray.

A replica is one worker of one model on one node, behind a `replica_host.ReplicaHost` that listens on a TCP port.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from homeport.domain.models import InstalledModel


class ReplicaAddress(msgspec.Struct, frozen=True):
    """Where a replica listens, and the secret that its handshake asks for.

    `digest`: of the model's files that it serves. `is_draining`: it takes no new requests.
    """

    replica: str
    model: str
    digest: str
    node: str
    host: str
    port: int
    secret: bytes
    is_draining: bool = False

    def is_same_listener(self, other: "ReplicaAddress") -> bool:
        """Return whether both reach the same listening port of the same replica."""
        return msgspec.structs.replace(self, is_draining=other.is_draining) == other


class Replicas(Protocol):
    """What a gateway needs of whatever places, restarts and scales replicas. Used on one event loop."""

    def known(self) -> Sequence[ReplicaAddress]:
        """Return the replicas of all models that run now. Does not block.

        While whatever knows them cannot be reached, these are the last known ones: gateways leave all others soon.
        """
        ...

    def wanted(self) -> Mapping[str, int]:
        """Return how many replicas of each model, by real name, should run now, as last known. Does not block."""
        ...

    def gateways(self) -> int:
        """Return how many gateways the cluster has, this one included, as last known. Does not block."""
        ...

    def can_place(self) -> bool:
        """Whether what places replicas has answered lately, so that a model without a replica may get one."""
        ...

    async def changed(self) -> None:
        """Wait until `known` or a `failure` has changed since the last return (the first call may return at once)."""
        ...

    async def want(self, model: InstalledModel) -> None:
        """Ask for a replica of these files, for which requests wait. Repeated about once a second."""
        ...

    def failure(self, model: str) -> str | None:
        """Return why a model, by real name, cannot get a replica now; None: it may get one.

        Requests are refused for this reason, so it must not outlive what it states; `want` is called meanwhile.
        """
        ...

    async def stop(self, model: str) -> bool:
        """End all replicas of a model, by real name. False if it has none."""
        ...

    async def report(self, demand: Mapping[str, int]) -> None:
        """Tell how many requests of each model this gateway runs or holds waiting; the others have none."""
        ...
