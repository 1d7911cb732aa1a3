"""The ongoing requests of replicas."""

from homeport.cluster.replica_loads import ReplicaLoads


def test_own_requests_are_counted_until_they_end() -> None:
    """A request counts from when it is sent until it ends, however many ends are counted."""
    loads = ReplicaLoads()
    assert loads["a"] == 0
    loads.sent("a")
    loads.sent("a")
    loads.sent("b")
    assert dict(loads) == {"a": 2, "b": 1}
    for _ in range(3):
        loads.finished("a")
    assert dict(loads) == {"b": 1}


def test_reports_add_the_requests_of_other_gateways() -> None:
    """What a replica reports beyond our own requests belongs to others, and remains when ours end."""
    loads = ReplicaLoads()
    loads.sent("a")
    loads.report("a", 5)
    assert loads["a"] == 5
    loads.finished("a")
    assert loads["a"] == 4
    loads.sent("a")
    loads.sent("a")
    loads.report("a", 1)
    assert loads["a"] == 2


def test_a_removed_replica_has_only_our_requests() -> None:
    """What a replica reported is forgotten with it, and requests that were sent to it end as usual."""
    loads = ReplicaLoads()
    loads.sent("a")
    loads.report("a", 5)
    loads.remove("a")
    assert dict(loads) == {"a": 1}
    loads.finished("a")
    assert len(loads) == 0
