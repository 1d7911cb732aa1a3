"""Metrics under vLLM's names, so that its dashboards work unchanged.

Knows nothing of HTTP. Each application has its own registry. The number of labels is bounded: model names are those of
installed models, handlers are route templates, statuses are classes (`2xx`), keys are ids of existing keys.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from homeport.api.activity import Activity, ModelActivity
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


class _Workers(Collector):
    """The workers' statistics, read at each scrape."""

    def __init__(self, stats: Callable[[], Mapping[str, EngineStats]]) -> None:
        self._stats = stats

    def collect(self) -> Iterable[Metric]:
        """Return a family per statistic, with a sample per loaded model."""
        now = self._stats()
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
    """The latest counts of fine-tuning jobs by status."""

    def __init__(self, counts: Callable[[], Mapping[str, int]]) -> None:
        self._counts = counts

    def collect(self) -> Iterable[Metric]:
        """Return one family, with a sample per status."""
        counts = self._counts()
        gauge = GaugeMetricFamily("homeport:fine_tuning_jobs", "Fine-tuning jobs, by status.", labels=("status",))
        for status in (*UNFINISHED_STATUSES, *ENDED):
            gauge.add_metric((status,), counts.get(status, 0))
        yield gauge


class _Loops(Collector):
    """The state of the background loops, read at each scrape."""

    def __init__(self, loops: BackgroundLoops) -> None:
        self._loops = loops

    def collect(self) -> Iterable[Metric]:
        """Return the failures of each loop, and whether its last step failed."""
        failing = self._loops.failing()
        label = ("loop",)
        failures = CounterMetricFamily("homeport:background_loop_failures", "Failed steps.", labels=label)
        gauge = GaugeMetricFamily("homeport:background_loop_failing", "1 if its last step failed.", labels=label)
        for name, n_failures in sorted(self._loops.failures().items()):
            failures.add_metric((name,), n_failures)
            gauge.add_metric((name,), float(name in failing))
        return (failures, gauge)


class Metrics:
    """All metrics of an application. `stats` returns the workers' statistics by model name; `clock`: in seconds.

    `jobs` returns the number of fine-tuning jobs by status; `loops`: the background loops. `activity` counts the same
    requests for `metric_series`.
    """

    def __init__(
        self,
        stats: Callable[[], Mapping[str, EngineStats]] = dict,
        clock: Callable[[], float] = time.perf_counter,
        jobs: Callable[[], Mapping[str, int]] = dict,
        loops: BackgroundLoops | None = None,
    ) -> None:
        self.registry = CollectorRegistry()
        self.clock = clock
        self.activity = Activity()
        self.requests = Counter(
            "http_requests", "HTTP responses.", ("handler", "method", "status"), registry=self.registry
        )
        self.successes = self._counter("request_success", "Choices finished, by reason.", "finished_reason")
        self.prompt_tokens = self._counter("prompt_tokens", "Prompt tokens processed.")
        self.generated = self._counter("generation_tokens", "Tokens generated.")
        self.first = self._histogram("time_to_first_token_seconds", "Arrival to first token.", _TTFT_BUCKETS)
        self.token_intervals = TokenIntervalHistogram(
            "vllm:inter_token_latency_seconds", "Token to token.", _TOKEN_INTERVAL_BUCKETS
        )
        self.registry.register(self.token_intervals)
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
        model = ("model_name",)
        self.tool_calls = self._homeport_counter("tool_calls", "Tool calls generated.", *model)
        self.reasoning = self._homeport_counter("reasoning_tokens", "Generated tokens that are reasoning.", *model)
        owner = ("project", "key")
        self._key_requests = self._homeport_counter("key_requests", "Requests to models.", *owner)
        self._key_tokens = self._homeport_counter("key_tokens", "Prompt and generated tokens.", *owner, "kind")
        self._key_refusals = self._homeport_counter("key_refusals", "Responses with status 429.", *owner)
        self.registry.register(_Workers(stats))
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
        """Start measuring a request. `model`: its own name. Background requests are excluded from latency metrics."""
        return RequestMetrics(self, model, endpoint, is_background=is_background)

    def activity_of(self, model: str) -> ModelActivity:
        """Return the counts of a model."""
        activity = self.activity.models.get(model)
        if activity is None:
            activity = self.activity.models[model] = ModelActivity(self.token_intervals.of(model))
        return activity

    def gauge(self, name: str, text: str, read: Callable[[], float]) -> None:
        """Add a gauge, which is read at each scrape."""
        Gauge(f"homeport:{name}", text, registry=self.registry).set_function(read)

    def count_response(self, handler: str, method: str, status: int) -> None:
        """Count an HTTP response. `handler`: a route template."""
        self.activity.count_response(handler, status)
        self.requests.labels(handler, method, f"{status // 100}xx").inc()

    def count_usage(self, project: str, key: str, usage: Usage) -> None:
        """Count the usage of a request by project and key (its id, empty without one)."""
        self._key_requests.labels(project, key).inc()
        self._key_tokens.labels(project, key, "prompt").inc(usage.prompt_tokens)
        self._key_tokens.labels(project, key, "completion").inc(usage.completion_tokens)

    def count_rate_limited(self, project: str, key: str) -> None:
        """Count a response with status 429, by the key's limits or the server's."""
        self._key_refusals.labels(project, key).inc()

    def render(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self.registry)


class RequestMetrics:
    """The measurements of one request, from arrival to end. Not shared between tasks."""

    def __init__(self, metrics: Metrics, model: str, endpoint: str, *, is_background: bool = False) -> None:
        self._metrics = metrics
        self._is_background = is_background
        self._model = model
        self._began = metrics.clock()
        self._admitted: float | None = None
        self._first: float | None = None
        self._last: float | None = None
        self.first_ms: float | None = None
        self._activity = metrics.activity_of(model)
        self._intervals = self._activity.token_interval
        self._prompt_tokens = 0
        self._generated_tokens = 0
        self._is_closed = False
        self.endpoint = endpoint

    @property
    def elapsed_ms(self) -> float:
        """Milliseconds since it started."""
        return (self._metrics.clock() - self._began) * 1000

    def on_admitted(self, prompt_tokens: int) -> None:
        """Record that the worker admitted the request."""
        self._admitted = self._metrics.clock()
        self._prompt_tokens += prompt_tokens
        self._activity.prompt_tokens += prompt_tokens
        self._metrics.prompt_size.labels(self._model).observe(prompt_tokens)

    def count_tokens(self, n: int = 1) -> None:
        """Record `n` tokens that arrived together."""
        now = self._metrics.clock()
        self._generated_tokens += n
        self._activity.generated_tokens += n
        if self._last is None:
            self._first = now
            self.first_ms = (now - self._began) * 1000
            if not self._is_background:
                self._metrics.first.labels(self._model).observe(now - self._began)
                self._activity.first_token.add(now - self._began)
        elif not self._is_background:
            self._intervals.add((now - self._last) / n, n)
        self._last = now

    def count_tool_call(self) -> None:
        """Record that a tool call began."""
        self._metrics.tool_calls.labels(self._model).inc()

    def on_finished(self, reason: str) -> None:
        """Record that a choice finished."""
        self._metrics.successes.labels(self._model, reason).inc()

    def on_ended(self, status: str) -> None:
        """Record how the request ended: `ok`, `cancelled`, or the code of an error."""
        self._activity.count_outcome(status)

    def close(self, usage: Usage, longest: int | None = None) -> None:
        """Record that the request ended, completely or not. May be called twice.

        `longest`: the generated tokens of its longest choice; None if it has only one.
        """
        if self._is_closed:
            return
        self._is_closed = True
        metrics, model = self._metrics, self._model
        # Tokens without a delta, such as those of answers that `best_of` drops, are known only now.
        self._activity.prompt_tokens += max(0, usage.prompt_tokens - self._prompt_tokens)
        self._activity.generated_tokens += max(0, usage.completion_tokens - self._generated_tokens)
        metrics.prompt_tokens.labels(model).inc(usage.prompt_tokens)
        metrics.generated.labels(model).inc(usage.completion_tokens)
        metrics.reasoning.labels(model).inc(usage.reasoning_tokens)
        metrics.answer_size.labels(model).observe(usage.completion_tokens)
        metrics.longest.labels(model).observe(usage.completion_tokens if longest is None else longest)
        if not self._is_background:
            metrics.whole.labels(model).observe(metrics.clock() - self._began)
            self._close_phases()

    def _close_phases(self) -> None:
        """Record the times of waiting, prefill and generation, as far as the request got."""
        metrics, model = self._metrics, self._model
        if self._admitted is None:
            return
        metrics.queued.labels(model).observe(self._admitted - self._began)
        if self._first is not None and self._last is not None:
            metrics.prefill.labels(model).observe(self._first - self._admitted)
            metrics.decode.labels(model).observe(self._last - self._first)
