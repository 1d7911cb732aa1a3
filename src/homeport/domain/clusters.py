"""What commands and a cluster exchange: how a node is started, limits of scaling, and what operators see."""

import re

import msgspec

from homeport.domain.errors import InvalidRequest

MAX_REPLICAS = 1000
"""More is a typing error."""

MIN_WORKER_BYTES = 2 * 1024**3
"""Ray's processes on a node take a quarter of it."""


class NodeOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How this machine takes part in a cluster. `head`: the head's address, None: this is the head.

    `host`: this machine's own address, which the others reach; None: the one from which it reaches the head. A size of
    None is what the machine has.
    """

    head: str | None = None
    host: str | None = None
    cpus: int | None = None
    gpus: int | None = None
    memory_bytes: int | None = None


class RunningNode(msgspec.Struct, frozen=True):
    """A node that has started: the cluster's address, its own, and the file of the token."""

    cluster: str
    host: str
    token_file: str
    is_head: bool


class ScalingLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator set for one model. Raises InvalidRequest for limits that contradict each other.

    `gpus`: those that each replica gets. With `min_replicas` 0 a model that nobody uses has no replica.
    """

    min_replicas: int = 0
    max_replicas: int = 1
    gpus: int = 0

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not 0 <= self.min_replicas <= MAX_REPLICAS:
            raise InvalidRequest(f"min must be 0 to {MAX_REPLICAS}, not {self.min_replicas}.", param="min")
        if not 1 <= self.max_replicas <= MAX_REPLICAS:
            raise InvalidRequest(f"max must be 1 to {MAX_REPLICAS}, not {self.max_replicas}.", param="max")
        if self.min_replicas > self.max_replicas:
            raise InvalidRequest(f"min ({self.min_replicas}) must not be above max ({self.max_replicas}).", param="min")
        if self.gpus < 0:
            raise InvalidRequest(f"gpus must be 0 or more, not {self.gpus}.", param="gpus")


class ManifestOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What a manifest for Kubernetes shall run. Raises InvalidRequest for what Kubernetes would refuse.

    `cpus` and `memory_bytes` are those of one worker Pod, `gpus` those of one worker Pod with GPUs.
    """

    image: str
    namespace: str = "homeport"
    gateways: int = 2
    workers: int = 2
    gpu_workers: int = 0
    cpus: int = 4
    memory_bytes: int = 16 * 1024**3
    gpus: int = 1

    def __post_init__(self) -> None:
        """Check names and ranges."""
        if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", self.namespace):
            raise InvalidRequest(
                f"{self.namespace!r:.100} is no name of a namespace: use lower-case letters, digits and hyphens.",
                param="namespace",
            )
        if not re.fullmatch(r"\S+", self.image):
            raise InvalidRequest(f"{self.image!r:.100} is no name of an image.", param="image")
        for name, lowest in {"gateways": 1, "workers": 0, "gpu_workers": 0, "cpus": 1, "gpus": 1}.items():
            number = getattr(self, name)
            if not lowest <= number <= MAX_REPLICAS:
                raise InvalidRequest(f"{name} must be {lowest} to {MAX_REPLICAS}, not {number}.", param=name)
        if not self.workers + self.gpu_workers:
            raise InvalidRequest("A cluster needs a worker, with or without GPUs.", param="workers")
        if self.memory_bytes < MIN_WORKER_BYTES:
            raise InvalidRequest(
                f"A worker needs at least 2 GiB of memory, not {self.memory_bytes} bytes.", param="memory"
            )


class NodeReport(msgspec.Struct, frozen=True, kw_only=True):
    """A node. `state`: `alive`, or `draining` until its replicas have moved and it leaves."""

    id: str
    address: str
    name: str
    cpus: float
    gpus: float
    memory_bytes: int
    state: str
    is_head: bool = False


class ReplicaState(msgspec.Struct, frozen=True, kw_only=True):
    """A replica. `state`: `ready`, or `draining` while its last requests finish."""

    replica: str
    model: str
    node: str
    state: str
    running: int


class ClusterReport(msgspec.Struct, frozen=True, kw_only=True):
    """A cluster at one moment. `failures`: why a model has no replica, by model."""

    nodes: tuple[NodeReport, ...]
    replicas: tuple[ReplicaState, ...]
    limits: dict[str, ScalingLimits]
    failures: dict[str, str]
