"""What a cluster runs: the wanted models, their replicas, and the demand of the gateways. Pure state, with a clock.

Knows nothing of Ray: `ray.controller` applies its targets, and tells it what happens.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from homeport.cluster.model_description import ModelDescription
from homeport.cluster.replicas import ReplicaAddress
from homeport.cluster.scaling import Scaler, ScalingPolicy
from homeport.domain.clusters import ReplicaState, ScalingLimits

SILENT_S = 10.0
"""A replica or gateway that has not reported for this long is gone."""

LOST_S = 15.0
"""A replica that has not reported for this long is ended, as its node may hang: Ray alone would wait much longer."""

PAUSE_S = 3.0
"""If the controller itself did not run for this long, reports wait to be read, and nothing counts as silent yet."""

RETRY_S = 15.0
"""A model that failed to load is not tried again for this long."""

_DEFAULT_SLOTS = 16


class ReplicaReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a replica reports each second. `node_id`, `actor`: Ray's names for its node and for its process.

    `slots`: the requests it runs at once.
    """

    address: ReplicaAddress
    node_id: str
    actor: str = ""
    slots: int = _DEFAULT_SLOTS
    running: int = 0


class Snapshot(msgspec.Struct, frozen=True):
    """What gateways know: all replicas, why models have none, how many should run. `version` grows with each change.

    `gateways`: those that are alive.
    """

    version: int
    replicas: tuple[ReplicaAddress, ...]
    failures: dict[str, str]
    wanted: dict[str, int] = {}
    gateways: int = 0


class Target(msgspec.Struct, frozen=True):
    """How many replicas of a model to run, and with what."""

    description: ModelDescription
    n_replicas: int
    gpus: int

    def is_same_version(self, other: "Target") -> bool:
        """Return whether a replica of one is also one of the other: the files and GPUs are the same."""
        return (self.description.digest, self.gpus) == (other.description.digest, other.gpus)


class SavedModel(msgspec.Struct, frozen=True):
    """What survives a restart of the controller: what an operator or a gateway asked for."""

    description: ModelDescription
    limits: ScalingLimits


class SavedDeployments(msgspec.Struct, frozen=True):
    """The file of a controller."""

    models: tuple[SavedModel, ...] = ()


class _Model:
    """One model: what is wanted of it."""

    def __init__(self, description: ModelDescription, limits: ScalingLimits, policy: ScalingPolicy) -> None:
        self.description = description
        self.scaler = Scaler(limits, policy)
        self.superseded: set[str] = set()
        self.failure: str | None = None
        self.failed_at = 0.0
        self.misfit: str | None = None
        self.is_stopped = False
        self.wanted = 0


class Deployments:
    """The state of the controller. `clock` returns seconds; `version` is the first one. Not for several threads."""

    def __init__(
        self, policy: ScalingPolicy | None = None, clock: Callable[[], float] = time.monotonic, version: int = 0
    ) -> None:
        self.version = version
        self._policy = policy or ScalingPolicy()
        self._clock = clock
        self._models: dict[str, _Model] = {}
        self._replicas: dict[str, tuple[ReplicaReport, float]] = {}
        self._demand: dict[str, tuple[Mapping[str, int], float]] = {}
        self._sqlite: dict[str, bool] = {}
        self._silent: dict[str, tuple[str, float]] = {}
        self._checked_at: float | None = None
        self._patient_until = -math.inf

    def admit_gateway(self, gateway: str, *, is_database_shared: bool) -> str | None:
        """Accept a gateway, or return why it is refused: gateways must share limits, jobs and files."""
        others = [each for each in self._demand if each != gateway]
        if others and not (is_database_shared and all(self._sqlite.get(each, True) for each in others)):
            return (
                "Another gateway serves this cluster already, and several need one PostgreSQL database: set "
                "HOMEPORT_DATABASE_URL to it on each, or end the other gateway."
            )
        self._sqlite[gateway] = is_database_shared
        self.keep_gateway(gateway)
        return None

    def want(self, description: ModelDescription) -> None:
        """A gateway has requests for a model. New files replace older ones, but never the other way round."""
        model = self._models.get(description.name)
        if model is None:
            model = self._models[description.name] = _Model(description, ScalingLimits(), self._policy)
        elif description.digest != model.description.digest and description.digest not in model.superseded:
            model.superseded.add(model.description.digest)
            model.description = description
            model.failure = None
        model.is_stopped = False
        model.scaler.use(self._clock())

    def scale(self, name: str, limits: ScalingLimits, description: ModelDescription | None) -> bool:
        """Set a model's limits. False if the model is unknown and no description of it is given."""
        if description is not None:
            self.want(description)
        model = self._models.get(name)
        if model is None:
            return False
        model.scaler.limits = limits
        model.is_stopped = False
        self._set_failure(model, None)
        return True

    def stop(self, name: str) -> bool:
        """End a model's replicas until it is wanted again. False if it has none."""
        model = self._models.get(name)
        if model is None or not any(report.address.model == name for report, _ in self._replicas.values()):
            return False
        model.is_stopped = True
        model.scaler = Scaler(model.scaler.limits, self._policy)
        return True

    def report_demand(self, gateway: str, demand: Mapping[str, int]) -> None:
        """Note what a gateway runs and holds waiting, by model."""
        self.keep_gateway(gateway)
        self._demand[gateway] = (demand, self._clock())

    def keep_gateway(self, gateway: str) -> None:
        """Note that a gateway is alive."""
        if gateway not in self._demand:
            self.version += 1
        demand, _ = self._demand.get(gateway, ({}, 0.0))
        self._demand[gateway] = (demand, self._clock())

    def forget_gateway(self, gateway: str) -> None:
        """Note that a gateway has ended."""
        if self._demand.pop(gateway, None) is not None:
            self.version += 1
        self._sqlite.pop(gateway, None)

    def report_replica(self, report: ReplicaReport) -> None:
        """Note that a replica lives, and what it runs. One that begins with replaced files is left to its end."""
        name = report.address.replica
        known = self._replicas.get(name)
        model = self._models.get(report.address.model)
        if known is None and model is not None and report.address.digest in model.superseded:
            return
        self._replicas[name] = (report, self._clock())
        self._silent.pop(name, None)
        if known is None or known[0].address != report.address:
            self.version += 1
        if model is not None:
            self._set_failure(model, None)

    def forget_replica(self, replica: str) -> None:
        """Note that a replica has ended."""
        self._silent.pop(replica, None)
        if self._replicas.pop(replica, None) is not None:
            self.version += 1

    def forget_node(self, node_id: str) -> None:
        """Note that a node has ended, with all its replicas."""
        for name, (report, _) in list(self._replicas.items()):
            if report.node_id == node_id:
                self.forget_replica(name)

    def fail(self, name: str, digest: str, reason: str) -> None:
        """Note that a model does not load. Its replicas, if there are any, stay."""
        model = self._models.get(name)
        if model is not None and model.description.digest == digest:
            model.failed_at = self._clock()
            self._set_failure(model, reason)

    def set_misfit(self, name: str, reason: str | None) -> None:
        """Note why no node can hold a replica of a model; None: one can."""
        model = self._models[name]
        if model.misfit != reason:
            model.misfit = reason
            self.version += 1

    def forget_silent(self) -> None:
        """Forget the replicas and gateways that no longer report. To be called more often than every `PAUSE_S`."""
        now = self._clock()
        if self._checked_at is not None and now - self._checked_at > PAUSE_S:
            self._patient_until = now + SILENT_S
        self._checked_at = now
        if now < self._patient_until:
            return
        limit = now - SILENT_S
        for name, (report, heard_at) in list(self._replicas.items()):
            if heard_at < limit:
                self.forget_replica(name)
                self._silent[name] = (report.actor, heard_at)
        for gateway in [each for each, (_, heard_at) in self._demand.items() if heard_at < limit]:
            self.forget_gateway(gateway)

    def take_lost(self) -> Sequence[str]:
        """Return the `actor` of each replica that has been silent for `LOST_S`, once: it must be ended."""
        limit = self._clock() - LOST_S
        lost = [name for name, (_, heard_at) in self._silent.items() if heard_at < limit]
        return [actor for actor, _ in map(self._silent.pop, lost) if actor]

    def n_accepting(self, name: str) -> int:
        """Return how many replicas of a model gateways may send requests to."""
        addresses = [report.address for report, _ in self._replicas.values()]
        return sum(address.model == name and not address.is_draining for address in addresses)

    def targets(self) -> Mapping[str, Target]:
        """Return what should run now, by model."""
        now = self._clock()
        return {name: self._target(name, model, now) for name, model in self._models.items()}

    def statuses(self) -> Sequence[ReplicaState]:
        """Return every replica as operators see it."""
        return [
            ReplicaState(
                replica=report.address.replica,
                model=report.address.model,
                node=report.address.node,
                state="draining" if report.address.is_draining else "ready",
                running=report.running,
            )
            for report, _ in self._replicas.values()
        ]

    def snapshot(self) -> Snapshot:
        """Return what gateways need to know."""
        reasons = {name: model.failure or model.misfit for name, model in self._models.items()}
        failures = {name: reason for name, reason in reasons.items() if reason}
        wanted = {name: model.wanted for name, model in self._models.items()}
        addresses = tuple(report.address for report, _ in self._replicas.values())
        return Snapshot(self.version, addresses, failures, wanted, len(self._demand))

    def limits(self) -> Mapping[str, ScalingLimits]:
        """Return the limits of every model."""
        return {name: model.scaler.limits for name, model in self._models.items()}

    def save(self, file: Path) -> None:
        """Write what was asked for to a file."""
        saved = SavedDeployments(
            tuple(SavedModel(each.description, each.scaler.limits) for each in self._models.values())
        )
        part = file.with_suffix(".part")
        part.write_bytes(msgspec.json.encode(saved))
        part.replace(file)

    def restore(self, file: Path) -> None:
        """Read what was asked for before a restart. Raises msgspec.DecodeError; a missing file holds nothing."""
        if not file.exists():
            return
        for saved in msgspec.json.decode(file.read_bytes(), type=SavedDeployments).models:
            self._models[saved.description.name] = _Model(saved.description, saved.limits, self._policy)

    def _target(self, name: str, model: _Model, now: float) -> Target:
        demand = sum(by_model.get(name, 0) for by_model, _ in self._demand.values())
        slots = [report.slots for report, _ in self._replicas.values() if report.address.model == name]
        wanted = model.scaler.target(demand, min(slots, default=_DEFAULT_SLOTS), now)
        self._set_wanted(model, 0 if model.is_stopped else wanted)
        if model.failure and wanted and now - model.failed_at > RETRY_S:
            self._set_failure(model, None)
        if model.is_stopped or (model.failure and not slots):
            wanted = 0
        return Target(model.description, wanted, model.scaler.limits.gpus)

    def _set_wanted(self, model: _Model, wanted: int) -> None:
        """Note how many replicas should run, also while none can start: gateways show it to operators."""
        if model.wanted != wanted:
            model.wanted = wanted
            self.version += 1

    def _set_failure(self, model: _Model, reason: str | None) -> None:
        if model.failure != reason:
            model.failure = reason
            self.version += 1
