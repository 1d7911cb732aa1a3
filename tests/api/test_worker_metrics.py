"""The workers' statistics by model, and in a cluster by node and replica."""

from homeport.api.application import build_application
from homeport.api.metrics import Metrics
from homeport.domain.models import EngineStats
from homeport.domain.operations import ClusterStats, ReplicaStats
from tests.api.asgi import call
from tests.api.fakes import FakeServing, loaded, services

CLUSTER = ClusterStats(
    replicas=(
        ReplicaStats("tiny", "n1", "r1", EngineStats(running=2, prefix_hits=5)),
        ReplicaStats("tiny", "n2", "r2", EngineStats(running=1, cells_used=1, cells=4)),
    ),
    wanted={"tiny": 3, "idle": 0},
    ready={"tiny": 2, "idle": 0},
    waiting={"tiny": 4, "idle": 0},
    links_lost={"tiny": 1, "idle": 0},
    retries={"link_lost": 6, "worker_lost": 0},
    gateways=3,
)


def sample(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def test_a_cluster_has_a_sample_for_each_replica() -> None:
    """Statistics have the labels `node` and `replica`; their sum over a model is in no sample of its own."""
    metrics = Metrics(lambda: {"tiny": EngineStats(running=3)}, cluster=lambda: CLUSTER)
    running = [
        sample(metrics, "vllm:num_requests_running", model_name="tiny", node=node, replica=replica)
        for node, replica in (("n1", "r1"), ("n2", "r2"))
    ]
    assert running == [2, 1]
    assert sample(metrics, "vllm:num_requests_running", model_name="tiny") is None
    of = {"model_name": "tiny", "node": "n1", "replica": "r1"}
    assert sample(metrics, "vllm:prefix_cache_hits_total", **of) == 5
    assert sample(metrics, "vllm:kv_cache_usage_perc", model_name="tiny", node="n2", replica="r2") == 0.25


def test_replicas_links_and_retries_are_counted() -> None:
    """A gateway shows its cluster's replicas and gateways, requests that wait for one, lost links and retries."""
    metrics = Metrics(cluster=lambda: CLUSTER)
    names = ("replicas_wanted", "replicas_ready", "replica_waiting_requests", "replica_links_lost_total")
    assert [sample(metrics, f"homeport:{name}", model_name="tiny") for name in names] == [3, 2, 4, 1]
    assert [sample(metrics, f"homeport:{name}", model_name="idle") for name in names] == [0, 0, 0, 0]
    assert sample(metrics, "homeport:cluster_gateways") == 3
    assert sample(metrics, "homeport:request_retries_total", reason="link_lost") == 6
    assert sample(metrics, "homeport:request_retries_total", reason="worker_lost") == 0


async def test_one_machine_says_nothing_of_a_cluster() -> None:
    """Without a cluster no name or label of one is in `/metrics`; with one they are in the next scrape."""
    serving = FakeServing()
    serving.running["tiny"] = (loaded("tiny"), EngineStats(running=1))
    app = build_application(services(serving))
    scraped = (await call(app, "GET", "/metrics")).body.decode()
    assert 'vllm:num_requests_running{model_name="tiny"} 1.0' in scraped
    assert "replica" not in scraped
    assert "homeport:request_retries" not in scraped
    assert "gateways" not in scraped
    serving.cluster = CLUSTER
    scraped = (await call(app, "GET", "/metrics")).body.decode()
    assert 'vllm:num_requests_running{model_name="tiny",node="n1",replica="r1"} 2.0' in scraped
    assert 'homeport:replicas_wanted{model_name="tiny"} 3.0' in scraped
