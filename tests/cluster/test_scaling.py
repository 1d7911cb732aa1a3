"""How many replicas follow from limits, demand and time."""

import pytest

from homeport.cluster.scaling import Scaler, ScalingPolicy
from homeport.domain.clusters import ScalingLimits
from homeport.domain.errors import InvalidRequest

POLICY = ScalingPolicy(load=0.5, down_s=10.0, zero_s=100.0)


def scaler(min_replicas: int = 0, max_replicas: int = 5) -> Scaler:
    """Return a scaler with these limits."""
    return Scaler(ScalingLimits(min_replicas=min_replicas, max_replicas=max_replicas), POLICY)


@pytest.mark.parametrize(("demand", "replicas"), [(0, 0), (1, 1), (2, 1), (3, 2), (9, 5), (100, 5)])
def test_demand_fills_half_of_the_slots(demand: int, replicas: int) -> None:
    """There are as many replicas as keep the share of used slots at the policy's load, up to the maximum."""
    assert scaler().target(demand, slots=4, now=0.0) == replicas


def test_minimum_needs_no_demand() -> None:
    """A model has its minimum of replicas although nobody uses it."""
    assert scaler(min_replicas=2).target(0, slots=4, now=0.0) == 2


def test_shrinks_late() -> None:
    """A replica goes only when none was needed for it for the time of the policy."""
    each = scaler()
    assert each.target(8, slots=4, now=0.0) == 4
    assert each.target(3, slots=4, now=5.0) == 4
    assert each.target(1, slots=4, now=9.0) == 4
    assert each.target(1, slots=4, now=10.0) == 2
    assert each.target(1, slots=4, now=15.0) == 1


def test_last_replica_stays_longer() -> None:
    """The last replica goes when the model was not used for a longer time, and then at once."""
    each = scaler()
    assert each.target(1, slots=4, now=0.0) == 1
    assert each.target(0, slots=4, now=99.0) == 1
    assert each.target(0, slots=4, now=100.0) == 0


def test_use_without_demand() -> None:
    """A model that was wanted has a replica before its demand is reported."""
    each = scaler()
    each.use(50.0)
    assert each.target(0, slots=4, now=50.0) == 1


@pytest.mark.parametrize(
    ("limits", "param"),
    [
        ({"min_replicas": 2, "max_replicas": 1}, "min"),
        ({"min_replicas": -1}, "min"),
        ({"max_replicas": 0}, "max"),
        ({"max_replicas": 1_001}, "max"),
        ({"gpus": -1}, "gpus"),
    ],
)
def test_limits_that_contradict_each_other(limits: dict[str, int], param: str) -> None:
    """Impossible limits are refused, naming the one that is wrong."""
    with pytest.raises(InvalidRequest) as caught:
        ScalingLimits(**limits)
    assert caught.value.param == param
