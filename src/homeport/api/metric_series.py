"""The last 15 minutes of the server as a series of samples in memory, for plots and for readers of its events.

Knows nothing of HTTP. Memory is bounded: a sample holds numbers only, of at most `MAX_MODELS` models.
"""

import math
import time
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from homeport.api.activity import Activity, ModelActivity
from homeport.api.durations import NARROW_BOUNDS, percentile
from homeport.api.metrics import Metrics
from homeport.api.recent_items import RecentItems
from homeport.domain.models import EngineStats

INTERVAL_S = 3.0
SPAN_S = 900
MAX_SAMPLES = int(SPAN_S / INTERVAL_S)
MAX_MODELS = 16
"""The models of one sample: the busiest ones, if more are loaded or were used."""

OUTCOMES = ("ok", "cancelled", "failed")
RESPONSES = ("2xx", "3xx", "4xx", "5xx")
_PERCENTILES = (0.5, 0.95)
MODEL_FIELDS = (
    "prompt_tokens",
    "generated_tokens",
    "prompt_tokens_per_s",
    "generated_tokens_per_s",
    *(f"requests_{outcome}" for outcome in OUTCOMES),
    "first_token_p50_s",
    "first_token_p95_s",
    "token_interval_p50_s",
    "token_interval_p95_s",
    "prefix_hit_share",
    "running",
    "waiting",
    "cells_used",
    "cells",
    "memory_bytes",
    "device_bytes",
)
"""The numbers of a model, in the order of a sample: counts and times since the last sample, and the state now."""
SERVER_FIELDS = (
    *MODEL_FIELDS,
    *(f"responses_{status}" for status in RESPONSES),
    "gateway_bytes",
    "machine_used_bytes",
    "machine_bytes",
)
"""The numbers of the server: those of all models together, and its own."""


class Sample(NamedTuple):
    """The server at one moment. `at`: seconds since 1970; a number that does not apply is NaN."""

    at: float
    server: "array[float]"
    models: Mapping[str, "array[float]"]


class MachineMemory(NamedTuple):
    """The memory of this machine in bytes: what all its programs use, and all there is."""

    used_bytes: int = 0
    total_bytes: int = 0


class Sources(NamedTuple):
    """What is sampled besides the metrics. All return what is known at once.

    `stats`: the workers' statistics, and `worker_bytes` their memory, by the model's name; `gateway_bytes`: this
    process's memory; `machine`: that of all programs.
    """

    stats: Callable[[], Mapping[str, EngineStats]] = dict
    worker_bytes: Callable[[], Mapping[str, int]] = dict
    gateway_bytes: Callable[[], int] = lambda: 0
    machine: Callable[[], MachineMemory] = MachineMemory


@dataclass
class _Growth:
    """What was added to counts since they were last read. Sums of several models are made with `add`."""

    prompt_tokens: int = 0
    generated_tokens: int = 0
    outcomes: list[int] = field(default_factory=lambda: [0] * len(OUTCOMES))
    prefix_queries: int = 0
    prefix_hits: int = 0
    first_token: list[int] = field(default_factory=list)
    token_interval: list[int] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        return not (self.prompt_tokens or self.generated_tokens or any(self.outcomes))

    def add(self, other: "_Growth") -> None:
        self.prompt_tokens += other.prompt_tokens
        self.generated_tokens += other.generated_tokens
        self.outcomes = [one + two for one, two in zip(self.outcomes, other.outcomes, strict=True)]
        self.prefix_queries += other.prefix_queries
        self.prefix_hits += other.prefix_hits
        self.first_token = _add_counts(self.first_token, other.first_token)
        self.token_interval = _add_counts(self.token_interval, other.token_interval)


class _Reader:
    """Reads the growth of one model's counts. Counts of a worker begin again at 0 when it is restarted."""

    def __init__(self) -> None:
        self._tokens = (0, 0)
        self._outcomes = [0] * len(OUTCOMES)
        self._prefixes = (0, 0)
        self._first_token: Sequence[int] = ()
        self._token_interval: Sequence[int] = ()

    def read(self, activity: ModelActivity | None, stats: EngineStats | None) -> _Growth:
        growth = _Growth()
        if activity is not None:
            tokens = (activity.prompt_tokens, activity.generated_tokens)
            growth.prompt_tokens, growth.generated_tokens = _differences(tokens, self._tokens)
            outcomes = [activity.outcomes[outcome] for outcome in OUTCOMES]
            growth.outcomes = _differences(outcomes, self._outcomes)
            growth.first_token = _grown(activity.first_token.counts, self._first_token)
            growth.token_interval = _grown(activity.token_interval.counts, self._token_interval)
            self._tokens, self._outcomes = tokens, outcomes
            if growth.first_token:
                self._first_token = tuple(activity.first_token.counts)
            if growth.token_interval:
                self._token_interval = tuple(activity.token_interval.counts)
        if stats is not None:
            prefixes = (stats.prefix_queries, stats.prefix_hits)
            before = self._prefixes if prefixes[0] >= self._prefixes[0] else (0, 0)
            growth.prefix_queries, growth.prefix_hits = _differences(prefixes, before)
            self._prefixes = prefixes
        return growth


class MetricSeries:
    """Samples the metrics of one application. `now`: the wall clock, `clock`: any other, both in seconds."""

    def __init__(
        self,
        metrics: Metrics,
        sources: Sources | None = None,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.recent: RecentItems[Sample] = RecentItems(MAX_SAMPLES)
        self._activity: Activity = metrics.activity
        self._interval_bounds = metrics.token_intervals.narrow_bounds
        self._sources = sources or Sources()
        self._now, self._clock = now, clock
        self._sampled_at = clock()
        self._readers: dict[str, _Reader] = {}
        self._responses = [0] * len(RESPONSES)

    async def sample(self) -> None:
        """Add a sample. The step of a background loop."""
        since_s = max(self._clock() - self._sampled_at, 1e-3)
        self._sampled_at = self._clock()
        stats, memory = self._sources.stats(), self._sources.worker_bytes()
        growths: dict[str, _Growth] = {}
        total = _Growth()
        for name in {**stats, **self._activity.models}:
            reader = self._readers.setdefault(name, _Reader())
            growth = reader.read(self._activity.models.get(name), stats.get(name))
            total.add(growth)
            if name in stats or not growth.is_empty:
                growths[name] = growth
        rows = {
            name: array("d", self._values(growths[name], since_s, stats.get(name), memory.get(name, 0)))
            for name in _busiest(growths)
        }
        values = self._values(total, since_s, _sum_stats(stats.values()), sum(memory.values()))
        server = array("d", [*values, *self._read_responses(), self._sources.gateway_bytes(), *self._sources.machine()])
        self.recent.append(Sample(self._now(), server, rows))

    def _values(self, growth: _Growth, since_s: float, stats: EngineStats | None, memory_bytes: int) -> Iterable[float]:
        """Yield the values of `MODEL_FIELDS`."""
        yield from (growth.prompt_tokens, growth.generated_tokens)
        yield from (growth.prompt_tokens / since_s, growth.generated_tokens / since_s)
        yield from growth.outcomes
        for bounds, counts in ((NARROW_BOUNDS, growth.first_token), (self._interval_bounds, growth.token_interval)):
            for share in _PERCENTILES:
                found = percentile(bounds, counts, share)
                yield math.nan if found is None else found
        yield growth.prefix_hits / growth.prefix_queries if growth.prefix_queries else math.nan
        state = stats or EngineStats()
        yield from (state.running, state.waiting, state.cells_used, state.cells)
        yield from (memory_bytes, state.device_bytes)

    def _read_responses(self) -> Sequence[int]:
        counts = [self._activity.responses[status] for status in RESPONSES]
        growth = _differences(counts, self._responses)
        self._responses = counts
        return growth


def _busiest(growths: Mapping[str, _Growth]) -> Sequence[str]:
    if len(growths) <= MAX_MODELS:
        return tuple(growths)
    return sorted(growths, key=lambda name: -growths[name].generated_tokens - growths[name].prompt_tokens)[:MAX_MODELS]


def _sum_stats(stats: Iterable[EngineStats]) -> EngineStats:
    each = tuple(stats)
    return EngineStats(
        running=sum(one.running for one in each),
        waiting=sum(one.waiting for one in each),
        cells_used=sum(one.cells_used for one in each),
        cells=sum(one.cells for one in each),
        device_bytes=sum(one.device_bytes for one in each),
    )


def _differences(counts: Sequence[int], before: Sequence[int]) -> list[int]:
    return [now - then for now, then in zip(counts, before, strict=True)]


def _grown(counts: Sequence[int], before: Sequence[int]) -> list[int]:
    """Return the growth of counts, or nothing if there is none. `before` may be empty: all were 0."""
    growth = _differences(counts, before) if before else list(counts)
    return growth if any(growth) else []


def _add_counts(one: list[int], other: list[int]) -> list[int]:
    if not one or not other:
        return one or other
    return [each + more for each, more in zip(one, other, strict=True)]
