"""The JSON of a model's replicas, and the state of a model that has several. Knows nothing of installed models."""

from collections.abc import Sequence

import msgspec

from homeport.domain.operations import WorkerReport

_STATES = ("ready", "loading", "queued", "paused", "stopping", "stopped", "unreachable")
"""The states of `WorkerReport`, the best first."""


class ReplicaObject(msgspec.Struct, kw_only=True):
    """A replica of a model, on a node of the cluster. `running` and `waiting`: requests of all gateways.

    `memory_bytes` and `device_bytes`: of its worker, as in the list of workers; `reason`: why that ended last.
    """

    node: str
    replica: str
    state: str
    running: int
    waiting: int
    memory_bytes: int
    device_bytes: int
    window: int
    device: str
    kernels: str
    restarts: int
    reason: str | None


def best_state(reports: Sequence[WorkerReport]) -> str | None:
    """Return the state of a model with these workers: the best of theirs, None without one."""
    return min((report.state for report in reports), key=_STATES.index, default=None)


def render_replicas(reports: Sequence[WorkerReport]) -> Sequence[ReplicaObject]:
    """Render the workers that are replicas; a worker of this machine is none."""
    names = ReplicaObject.__struct_fields__
    return [ReplicaObject(**{name: getattr(each, name) for name in names}) for each in reports if each.replica]
