"""What a cluster shall run, as gateways and replicas report."""

from pathlib import Path

import msgspec
import pytest

from homeport.cluster.deployments import LOST_S, PAUSE_S, RETRY_S, SILENT_S, Deployments, ReplicaReport, Target
from homeport.cluster.model_description import ModelDescription
from homeport.cluster.replicas import ReplicaAddress
from homeport.cluster.scaling import ScalingPolicy
from homeport.domain.clusters import ScalingLimits
from homeport.domain.models import ModelFacts
from tests.fake_clock import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    """The clock of `deployments`."""
    return FakeClock(1000.0)


@pytest.fixture
def deployments(clock: FakeClock) -> Deployments:
    """An empty cluster."""
    return Deployments(ScalingPolicy(down_s=10.0, zero_s=20.0), clock)


def model(digest: str = "d1") -> ModelDescription:
    """Return the model `m` with some files."""
    return ModelDescription(facts=ModelFacts("m", "text", "text"), digest=digest, manifest=b"", files=())


def replica(name: str = "r1", slots: int = 10) -> ReplicaReport:
    """Return a report of a replica of `m`."""
    address = ReplicaAddress(name, "m", "d1", "node", "127.0.0.1", 1, b"secret")
    return ReplicaReport(address=address, node_id=f"node-of-{name}", actor=f"actor-of-{name}", slots=slots)


def wanted(deployments: Deployments) -> int:
    """Return how many replicas of `m` shall run."""
    return deployments.targets()["m"].n_replicas


def test_wanted_model_gets_a_replica(deployments: Deployments, clock: FakeClock) -> None:
    """A model that a gateway wants has one replica, and none once nobody has used it for a while."""
    deployments.want(model())
    assert wanted(deployments) == 1
    clock.now += 20.0
    assert wanted(deployments) == 0


def test_demand_of_all_gateways_counts(deployments: Deployments) -> None:
    """The demand of gateways is added up and compared with the slots that replicas report."""
    deployments.scale("m", ScalingLimits(max_replicas=9), model())
    deployments.report_replica(replica(slots=10))
    deployments.report_demand("a", {"m": 10})
    deployments.report_demand("b", {"m": 4, "other": 100})
    assert wanted(deployments) == 2


def test_silent_gateway_has_no_demand(deployments: Deployments, clock: FakeClock) -> None:
    """The demand of a gateway that no longer reports is forgotten."""
    deployments.scale("m", ScalingLimits(max_replicas=9), model())
    deployments.report_demand("a", {"m": 100})
    assert wanted(deployments) == 9
    clock.now += SILENT_S + 10.0
    deployments.forget_silent()
    assert wanted(deployments) < 9


def test_changes_of_replicas_make_versions(deployments: Deployments, clock: FakeClock) -> None:
    """Gateways see a new version when a replica appears, drains or is lost, and not when it only reports again."""
    seen = [deployments.snapshot()]

    def is_new() -> bool:
        seen.append(deployments.snapshot())
        return seen[-1].version > seen[-2].version

    report = replica()
    deployments.report_replica(report)
    assert is_new()
    deployments.report_replica(msgspec.structs.replace(report, running=3))
    assert not is_new()
    draining = msgspec.structs.replace(report.address, is_draining=True)
    deployments.report_replica(msgspec.structs.replace(report, address=draining))
    assert is_new()
    assert seen[-1].replicas == (draining,)
    clock.now += SILENT_S + 1.0
    deployments.forget_silent()
    assert is_new()
    assert not seen[-1].replicas


def test_lost_node_loses_its_replicas(deployments: Deployments) -> None:
    """The replicas of a node that has ended are forgotten, and no others."""
    deployments.report_replica(replica("r1"))
    deployments.report_replica(replica("r2"))
    deployments.forget_node("node-of-r1")
    assert [each.replica for each in deployments.snapshot().replicas] == ["r2"]


def test_failed_load_is_tried_again_later(deployments: Deployments, clock: FakeClock) -> None:
    """A model that does not load has no replica and a reason; it is tried again after a pause if it is still wanted."""
    deployments.want(model())
    deployments.fail("m", "d1", "It is broken.")
    assert wanted(deployments) == 0
    assert deployments.snapshot().failures == {"m": "It is broken."}
    clock.now += RETRY_S + 1.0
    deployments.want(model())
    assert wanted(deployments) == 1
    assert deployments.snapshot().failures == {}


def test_failure_of_other_files_does_not_count(deployments: Deployments) -> None:
    """A late failure of files that have been replaced changes nothing."""
    deployments.want(model())
    deployments.fail("m", "d0", "It is broken.")
    assert deployments.snapshot().failures == {}


def test_new_files_replace_old_ones_once(deployments: Deployments) -> None:
    """New files of a model replace the old ones; a gateway that still has the old ones does not bring them back."""
    for digest, served in (("d1", "d1"), ("d2", "d2"), ("d1", "d2"), ("d3", "d3"), ("d2", "d3")):
        deployments.want(model(digest))
        assert deployments.targets()["m"].description.digest == served


def test_stopped_model_stays_stopped_until_it_is_wanted(deployments: Deployments) -> None:
    """A stopped model has no replica, whatever its minimum, until a gateway wants it."""
    deployments.scale("m", ScalingLimits(min_replicas=2, max_replicas=2), model())
    assert not deployments.stop("m")
    deployments.report_replica(replica())
    assert deployments.stop("m")
    assert wanted(deployments) == 0
    deployments.want(model())
    assert wanted(deployments) == 2


def test_scaling_an_unknown_model(deployments: Deployments) -> None:
    """Limits of a model that was never described are not accepted."""
    assert not deployments.scale("m", ScalingLimits(), None)
    deployments.want(model())
    assert deployments.scale("m", ScalingLimits(max_replicas=3), None)
    assert deployments.limits() == {"m": ScalingLimits(max_replicas=3)}


@pytest.mark.parametrize(
    ("first", "second", "is_refused"),
    [(False, False, True), (False, True, True), (True, False, True), (True, True, False)],
)
def test_several_gateways_share_a_database(
    deployments: Deployments, first: bool, second: bool, is_refused: bool
) -> None:
    """A second gateway is refused unless both use one database; the same gateway may come again."""
    assert deployments.admit_gateway("a", is_database_shared=first) is None
    assert deployments.admit_gateway("a", is_database_shared=first) is None
    refusal = deployments.admit_gateway("b", is_database_shared=second)
    assert (refusal is not None) == is_refused
    deployments.forget_gateway("a")
    assert deployments.admit_gateway("b", is_database_shared=second) is None


def test_state_survives_a_restart(deployments: Deployments, clock: FakeClock, tmp_path: Path) -> None:
    """What was asked for is in a file, and a controller that reads it wants the same."""
    file = tmp_path / "controller.json"
    limits = ScalingLimits(min_replicas=2, max_replicas=3, gpus=1)
    deployments.scale("m", limits, model())
    deployments.save(file)
    again = Deployments(clock=clock)
    again.restore(file)
    assert again.limits() == {"m": limits}
    assert wanted(again) == 2
    Deployments(clock=clock).restore(tmp_path / "missing.json")


def test_statuses(deployments: Deployments) -> None:
    """Operators see each replica with its node, its state and the requests on it."""
    deployments.report_replica(msgspec.structs.replace(replica(), running=2))
    (status,) = deployments.statuses()
    assert (status.model, status.node, status.state, status.running) == ("m", "node", "ready", 2)


def test_misfit_is_a_failure_while_it_lasts(deployments: Deployments) -> None:
    """A model that fits no node has that reason until a node can hold it."""
    deployments.want(model())
    deployments.set_misfit("m", "No node is large enough.")
    assert deployments.snapshot().failures == {"m": "No node is large enough."}
    deployments.set_misfit("m", None)
    assert deployments.snapshot().failures == {}


def test_gateways_hear_how_many_replicas_should_run(deployments: Deployments) -> None:
    """The number is there while no replica can start, and 0 once the model is stopped; a change makes a version."""
    deployments.scale("m", ScalingLimits(min_replicas=2, max_replicas=3), model())
    before = deployments.version
    deployments.fail("m", "d1", "the file is broken")
    assert wanted(deployments) == 0
    assert deployments.snapshot().wanted == {"m": 2}
    assert deployments.version > before + 1
    deployments.report_replica(replica())
    assert deployments.stop("m")
    deployments.targets()
    assert deployments.snapshot().wanted == {"m": 0}


def pass_time(deployments: Deployments, clock: FakeClock, seconds: float) -> None:
    """Let time pass for a controller that works meanwhile."""
    end = clock.now + seconds
    while clock.now < end:
        clock.now += 1.0
        deployments.forget_silent()


def test_silent_replica_is_ended_once(deployments: Deployments, clock: FakeClock) -> None:
    """A replica that has long been silent is named to be ended, once; one that reports again in time is not."""
    deployments.report_replica(replica("r1"))
    deployments.report_replica(replica("r2"))
    pass_time(deployments, clock, SILENT_S + 1.0)
    assert not deployments.snapshot().replicas
    assert deployments.take_lost() == []
    deployments.report_replica(replica("r2"))
    pass_time(deployments, clock, LOST_S - SILENT_S)
    assert deployments.take_lost() == ["actor-of-r1"]
    assert deployments.take_lost() == []
    assert [each.replica for each in deployments.snapshot().replicas] == ["r2"]


def test_replica_that_ended_is_not_lost(deployments: Deployments, clock: FakeClock) -> None:
    """A replica that said that it ends is not ended again."""
    deployments.report_replica(replica())
    pass_time(deployments, clock, SILENT_S + 1.0)
    deployments.forget_replica("r1")
    pass_time(deployments, clock, LOST_S)
    assert deployments.take_lost() == []


def test_paused_controller_forgets_nobody(deployments: Deployments, clock: FakeClock) -> None:
    """A controller that did not run for a while waits for reports before it forgets replicas and gateways."""
    deployments.report_replica(replica())
    deployments.report_demand("a", {"m": 1})
    deployments.forget_silent()
    clock.now += SILENT_S + PAUSE_S
    deployments.forget_silent()
    assert len(deployments.snapshot().replicas) == deployments.snapshot().gateways == 1
    deployments.report_replica(replica())
    pass_time(deployments, clock, SILENT_S)
    assert len(deployments.snapshot().replicas) == 1
    assert deployments.snapshot().gateways == 0


def test_replica_that_begins_with_replaced_files_is_not_used(deployments: Deployments) -> None:
    """Gateways hear of no replica that begins to report after its files were replaced; older ones stay known."""
    deployments.want(model("d1"))
    deployments.report_replica(replica("r1"))
    deployments.want(model("d2"))
    deployments.report_replica(replica("r1"))
    deployments.report_replica(replica("r2"))
    assert [each.replica for each in deployments.snapshot().replicas] == ["r1"]
    assert deployments.n_accepting("m") == 1


def test_draining_replica_does_not_accept(deployments: Deployments) -> None:
    """The replicas that take requests are counted by model, without those that drain."""
    report = replica()
    deployments.report_replica(report)
    assert (deployments.n_accepting("m"), deployments.n_accepting("other")) == (1, 0)
    draining = msgspec.structs.replace(report.address, is_draining=True)
    deployments.report_replica(msgspec.structs.replace(report, address=draining))
    assert deployments.n_accepting("m") == 0


def test_version_of_a_target() -> None:
    """Other files or GPUs are another version, another number of replicas is not."""
    target = Target(model("d1"), 1, 0)
    assert target.is_same_version(Target(model("d1"), 3, 0))
    assert not target.is_same_version(Target(model("d2"), 1, 0))
    assert not target.is_same_version(Target(model("d1"), 1, 1))


def test_gateways_are_counted(deployments: Deployments, clock: FakeClock) -> None:
    """The number of gateways that are alive is in what gateways hear; a change of it makes a version."""
    versions = [deployments.version]
    deployments.admit_gateway("a", is_database_shared=True)
    deployments.report_demand("b", {})
    versions.append(deployments.version)
    deployments.keep_gateway("a")
    assert (deployments.snapshot().gateways, deployments.version) == (2, versions[-1])
    deployments.forget_gateway("a")
    versions.append(deployments.version)
    assert deployments.snapshot().gateways == 1
    pass_time(deployments, clock, SILENT_S + 1.0)
    versions.append(deployments.version)
    assert deployments.snapshot().gateways == 0
    assert versions == sorted(set(versions))
