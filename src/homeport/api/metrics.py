"""What is counted, under vLLM's metric names, so that dashboards made for it work unchanged.

Knows nothing of HTTP. Every app has a registry of its own. Labels are bounded: model names are real names of
installed models, handlers are route templates, statuses are classes (`2xx`), keys are ids of keys that exist.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from homeport.api.token_intervals import TokenIntervalHistogram
from homeport.domain.events import Usage
from homeport.domain.fine_tuning import ENDED, UNFINISHED_STATUSES
from homeport.domain.models import EngineStats
from homeport.serving.background_loops import BackgroundLoops

_TTFT_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160, 640)
_TOKEN_INTERVAL_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1, 2.5, 5, 10, 40)
_LATENCY_BUCKETS = (0.1, 0.3, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600, 1800)
_TOKENS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000, 100000)

_GAUGES: tuple[tuple[str, str, Callable[[EngineStats], float]], ...] = (
    ("vllm:num_requests_running", "Requests being worked on.", lambda g: g.running),
    ("vllm:num_requests_waiting", "Requests waiting for their turn.", lambda g: g.waiting),
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
    ("vllm:external_prefix_cache_queries", "Of those not found there, looked up on disk.", lambda g: g.disk_queries),
    ("vllm:external_prefix_cache_hits", "Prompt tokens found on disk.", lambda g: g.disk_hits),
    ("vllm:num_preemptions", "Sequences pre-empted and computed again.", lambda g: g.preemptions),
    ("vllm:spec_decode_num_draft_tokens", "Tokens computed on a guess.", lambda g: g.drafted_tokens),
    ("vllm:spec_decode_num_accepted_tokens", "Guessed tokens that came true.", lambda g: g.accepted_tokens),
    ("homeport:engine_steps", "Steps the engine has made.", lambda g: g.steps),
)


class _Workers(Collector):
    """The workers' own gauges, asked for at each scrape."""

    def __init__(self, gauges: Callable[[], Mapping[str, EngineStats]]) -> None:
        self._gauges = gauges

    def collect(self) -> Iterable[Metric]:
        """One family per gauge, one sample per loaded model."""
        now = self._gauges()
        for name, text, read in _GAUGES:
            gauge = GaugeMetricFamily(name, text, labels=("model_name",))
            for model, state in now.items():
                gauge.add_metric((model,), read(state))
            yield gauge
        for name, text, read in _COUNTERS:
            counter = CounterMetricFamily(name, text, labels=("model_name",))
            for model, state in now.items():
                counter.add_metric((model,), read(state))
            yield counter


class _Jobs(Collector):
    """The fine-tuning jobs by status, as they were counted last."""

    def __init__(self, counts: Callable[[], Mapping[str, int]]) -> None:
        self._counts = counts

    def collect(self) -> Iterable[Metric]:
        """One family, one sample per status."""
        counts = self._counts()
        gauge = GaugeMetricFamily("homeport:fine_tuning_jobs", "Fine-tuning jobs, by status.", labels=("status",))
        for status in (*UNFINISHED_STATUSES, *ENDED):
            gauge.add_metric((status,), counts.get(status, 0))
        yield gauge


class _Loops(Collector):
    """The background loops, as they stand at each scrape."""

    def __init__(self, loops: BackgroundLoops) -> None:
        self._loops = loops

    def collect(self) -> Iterable[Metric]:
        """How often each has failed, and whether its last step did."""
        failing = self._loops.failing()
        label = ("loop",)
        failures = CounterMetricFamily("homeport:background_loop_failures", "Failed steps.", labels=label)
        gauge = GaugeMetricFamily("homeport:background_loop_failing", "1 if its last step failed.", labels=label)
        for name, n_failures in sorted(self._loops.failures().items()):
            failures.add_metric((name,), n_failures)
            gauge.add_metric((name,), float(name in failing))
        return (failures, gauge)


class Metrics:
    """All metrics of one app. `gauges` gives the workers' state by real model name; `clock` runs in seconds.

    `jobs`: how many fine-tuning jobs there are, by status; `loops`: the background loops.
    """

    def __init__(
        self,
        gauges: Callable[[], Mapping[str, EngineStats]] = dict,
        clock: Callable[[], float] = time.perf_counter,
        jobs: Callable[[], Mapping[str, int]] = dict,
        loops: BackgroundLoops | None = None,
    ) -> None:
        self.registry = CollectorRegistry()
        self.clock = clock
        self.requests = Counter(
            "http_requests", "Answers given.", ("handler", "method", "status"), registry=self.registry
        )
        self.successes = self._counter("request_success", "Choices finished, by reason.", "finished_reason")
        self.prompt_tokens = self._counter("prompt_tokens", "Prompt tokens taken.")
        self.generated = self._counter("generation_tokens", "Tokens generated.")
        self.first = self._histogram("time_to_first_token_seconds", "Arrival to first token.", _TTFT_BUCKETS)
        self.between = TokenIntervalHistogram(
            "vllm:inter_token_latency_seconds", "Token to token.", _TOKEN_INTERVAL_BUCKETS
        )
        self.registry.register(self.between)
        self.whole = self._histogram("e2e_request_latency_seconds", "Arrival to last token.", _LATENCY_BUCKETS)
        self.queued = self._histogram("request_queue_time_seconds", "Arrival to the start of work.", _LATENCY_BUCKETS)
        self.prefill = self._histogram(
            "request_prefill_time_seconds", "Start of work to first token.", _LATENCY_BUCKETS
        )
        self.decode = self._histogram("request_decode_time_seconds", "First token to last token.", _LATENCY_BUCKETS)
        self.prompt_size = self._histogram("request_prompt_tokens", "Prompt tokens of a request.", _TOKENS)
        self.answer_size = self._histogram("request_generation_tokens", "Generated tokens of a request.", _TOKENS)
        text = "Generated tokens of a request's longest choice."
        self.longest = self._histogram("request_max_num_generation_tokens", text, _TOKENS)
        whose = ("project", "key")
        self._asked = self._homeport_counter("key_requests", "Requests on models.", *whose)
        self._tokens = self._homeport_counter("key_tokens", "Tokens taken and generated.", *whose, "kind")
        self._refused = self._homeport_counter("key_refusals", "Answers with status 429.", *whose)
        self.registry.register(_Workers(gauges))
        self.registry.register(_Jobs(jobs))
        self.registry.register(_Loops(loops or BackgroundLoops()))
        ProcessCollector(registry=self.registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"vllm:{name}", text, ("model_name", *labels), registry=self.registry)

    def _homeport_counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"homeport:{name}", text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: Sequence[float]) -> Histogram:
        return Histogram(f"vllm:{name}", text, ("model_name",), buckets=buckets, registry=self.registry)

    def start_request(self, model: str, endpoint: str, *, is_background: bool = False) -> "RequestMetrics":
        """Start measuring one request on a model (its real name). How long one in the background takes counts not."""
        return RequestMetrics(self, model, endpoint, is_background=is_background)

    def gauge(self, name: str, text: str, read: Callable[[], float]) -> None:
        """Show a number, read at each scrape."""
        Gauge(f"homeport:{name}", text, registry=self.registry).set_function(read)

    def count_response(self, handler: str, method: str, status: int) -> None:
        """Count one HTTP answer. `handler` is a route template."""
        self.requests.labels(handler, method, f"{status // 100}xx").inc()

    def count_usage(self, project: str, key: str, usage: Usage) -> None:
        """Count what one request cost its project and key (its id, empty without one)."""
        self._asked.labels(project, key).inc()
        self._tokens.labels(project, key, "prompt").inc(usage.prompt_tokens)
        self._tokens.labels(project, key, "completion").inc(usage.completion_tokens)

    def count_rate_limited(self, project: str, key: str) -> None:
        """Count a 429: over the key's limits, or the server's."""
        self._refused.labels(project, key).inc()

    def render(self) -> bytes:
        """Everything, in Prometheus' text format."""
        return generate_latest(self.registry)


class RequestMetrics:
    """One request's measurements, from arrival to end. Not shared between tasks."""

    def __init__(self, meters: Metrics, model: str, endpoint: str, *, is_background: bool = False) -> None:
        self._meters = meters
        self._is_background = is_background
        self._model = model
        self._began = meters.clock()
        self._admitted: float | None = None
        self._first: float | None = None
        self._last: float | None = None
        self.first_ms: float | None = None
        self._between = meters.between.of(model)
        self._is_closed = False
        self.endpoint = endpoint

    @property
    def elapsed_ms(self) -> float:
        """Milliseconds since it began."""
        return (self._meters.clock() - self._began) * 1000

    def on_admitted(self, prompt_tokens: int) -> None:
        """The worker took the request."""
        self._admitted = self._meters.clock()
        self._meters.prompt_size.labels(self._model).observe(prompt_tokens)

    def token(self, n: int = 1) -> None:
        """`n` tokens arrived together."""
        now = self._meters.clock()
        if self._last is None:
            self._first = now
            self.first_ms = (now - self._began) * 1000
            if not self._is_background:
                self._meters.first.labels(self._model).observe(now - self._began)
        elif not self._is_background:
            self._between.add((now - self._last) / n, n)
        self._last = now

    def on_finished(self, reason: str) -> None:
        """One choice came to its end."""
        self._meters.successes.labels(self._model, reason).inc()

    def close(self, usage: Usage, longest: int | None = None) -> None:
        """The request is over, whole or not; `usage` is what it cost. Safe to call twice.

        `longest`: the generated tokens of its longest choice, None where it has but one.
        """
        if self._is_closed:
            return
        self._is_closed = True
        meters, model = self._meters, self._model
        meters.prompt_tokens.labels(model).inc(usage.prompt_tokens)
        meters.generated.labels(model).inc(usage.completion_tokens)
        meters.answer_size.labels(model).observe(usage.completion_tokens)
        meters.longest.labels(model).observe(usage.completion_tokens if longest is None else longest)
        if not self._is_background:
            meters.whole.labels(model).observe(meters.clock() - self._began)
            self._close_phases()

    def _close_phases(self) -> None:
        """Say how long it waited, read its prompt and wrote, as far as it came."""
        meters, model = self._meters, self._model
        if self._admitted is None:
            return
        meters.queued.labels(model).observe(self._admitted - self._began)
        if self._first is not None and self._last is not None:
            meters.prefill.labels(model).observe(self._first - self._admitted)
            meters.decode.labels(model).observe(self._last - self._first)
