"""The workers' statistics as metrics, read at each scrape: by model, and in a cluster by node and replica too.

Knows nothing of requests. The number of labels is bounded: models, nodes and replicas are those that exist now.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from homeport.domain.models import EngineStats
from homeport.domain.operations import ClusterStats

_GAUGES: tuple[tuple[str, str, Callable[[EngineStats], float]], ...] = (
    ("vllm:num_requests_running", "Running requests.", lambda g: g.running),
    ("vllm:num_requests_waiting", "Waiting requests.", lambda g: g.waiting),
    (
        "vllm:kv_cache_usage_perc",
        "Share of the KV cache in use, 1 is all of it.",
        lambda g: g.cells_used / max(1, g.cells),
    ),
    ("homeport:engine_stalled_seconds", "How long the engine has been in one step.", lambda g: g.stalled_s),
)
_COUNTERS: tuple[tuple[str, str, Callable[[EngineStats], float]], ...] = (
    ("vllm:prefix_cache_queries", "Prompt tokens looked up in the prefix cache.", lambda g: g.prefix_queries),
    ("vllm:prefix_cache_hits", "Prompt tokens found in the prefix cache.", lambda g: g.prefix_hits),
    ("vllm:external_prefix_cache_queries", "Prompt tokens then looked up on disk.", lambda g: g.disk_queries),
    ("vllm:external_prefix_cache_hits", "Prompt tokens found on disk.", lambda g: g.disk_hits),
    ("vllm:num_preemptions", "Preempted sequences.", lambda g: g.preemptions),
    ("vllm:spec_decode_num_draft_tokens", "Draft tokens.", lambda g: g.drafted_tokens),
    ("vllm:spec_decode_num_accepted_tokens", "Accepted draft tokens.", lambda g: g.accepted_tokens),
    ("homeport:engine_steps", "Steps of the engine.", lambda g: g.steps),
)
_CLUSTER_GAUGES: tuple[tuple[str, str, Callable[[ClusterStats], Mapping[str, int]]], ...] = (
    ("homeport:replicas_wanted", "Replicas that should run.", lambda c: c.wanted),
    ("homeport:replicas_ready", "Replicas that take this gateway's requests.", lambda c: c.ready),
    ("homeport:replica_waiting_requests", "This gateway's requests that wait for a replica.", lambda c: c.waiting),
)

_MODEL = ("model_name",)
_REPLICA = (*_MODEL, "node", "replica")


class WorkerCollector(Collector):
    """A family per statistic of workers, with a sample per loaded model, or per replica in a cluster."""

    def __init__(
        self, stats: Callable[[], Mapping[str, EngineStats]], cluster: Callable[[], ClusterStats | None]
    ) -> None:
        self._stats = stats
        self._cluster = cluster

    def collect(self) -> Iterable[Metric]:
        """Return all families."""
        labels, samples = self._samples()
        for name, text, read in _GAUGES:
            gauge = GaugeMetricFamily(name, text, labels=labels)
            for values, state in samples:
                gauge.add_metric(values, read(state))
            yield gauge
        for name, text, read in _COUNTERS:
            counter = CounterMetricFamily(name, text, labels=labels)
            for values, state in samples:
                counter.add_metric(values, read(state))
            yield counter

    def _samples(self) -> tuple[Sequence[str], Sequence[tuple[Sequence[str], EngineStats]]]:
        """Return the names of the labels, and the statistics with the labels' values."""
        cluster = self._cluster()
        if cluster is None:
            return _MODEL, [((model,), stats) for model, stats in self._stats().items()]
        return _REPLICA, [((each.model, each.node, each.replica), each.stats) for each in cluster.replicas]


class ClusterCollector(Collector):
    """What this gateway counts of its cluster. Without a cluster there is no family."""

    def __init__(self, cluster: Callable[[], ClusterStats | None]) -> None:
        self._cluster = cluster

    def collect(self) -> Iterable[Metric]:
        """Return all families."""
        cluster = self._cluster()
        if cluster is None:
            return
        for name, text, read in _CLUSTER_GAUGES:
            gauge = GaugeMetricFamily(name, text, labels=_MODEL)
            for model, number in read(cluster).items():
                gauge.add_metric((model,), number)
            yield gauge
        yield GaugeMetricFamily(
            "homeport:cluster_gateways", "Gateways of the cluster that are alive, this one included.", cluster.gateways
        )
        lost = CounterMetricFamily("homeport:replica_links_lost", "Links to replicas that were lost.", labels=_MODEL)
        for model, number in cluster.links_lost.items():
            lost.add_metric((model,), number)
        text = "Requests sent to a replica again, by the reason."
        retries = CounterMetricFamily("homeport:request_retries", text, labels=("reason",))
        for reason, number in cluster.retries.items():
            retries.add_metric((reason,), number)
        yield from (lost, retries)
