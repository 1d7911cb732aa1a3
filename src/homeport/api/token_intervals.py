"""A cheap histogram of the times between tokens.

Every streamed token is added, and only from the event loop, so it needs none of the locks with which the library's own
histogram takes a tenth of the gateway's time. Knows nothing of requests.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import accumulate

from prometheus_client.core import HistogramMetricFamily, Metric
from prometheus_client.registry import Collector


class TokenIntervals:
    """Times between the tokens of one model, counted by bucket. `bounds` ascend, in seconds."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum_s = 0.0

    def add(self, interval_s: float, n: int = 1) -> None:
        """Count `n` tokens with this time between them. A bucket counts the times up to its bound."""
        self.counts[bisect_left(self._bounds, interval_s)] += n
        self.sum_s += interval_s * n


class TokenIntervalHistogram(Collector):
    """The times of every model, as a Prometheus histogram labelled by the model's name."""

    def __init__(self, name: str, text: str, bounds: Sequence[float]) -> None:
        self._name, self._text, self._bounds = name, text, bounds
        self._intervals: dict[str, TokenIntervals] = {}

    def of(self, model: str) -> TokenIntervals:
        """Return the times of a model."""
        return self._intervals.setdefault(model, TokenIntervals(self._bounds))

    def collect(self) -> Iterable[Metric]:
        """Return one family. Its buckets are cumulative, as the format requires."""
        family = HistogramMetricFamily(self._name, self._text, labels=("model_name",))
        names = [*(str(float(bound)) for bound in self._bounds), "+Inf"]
        for model, intervals in self._intervals.items():
            buckets = list(zip(names, accumulate(map(float, intervals.counts)), strict=True))
            family.add_metric((model,), buckets, intervals.sum_s)
        yield family
