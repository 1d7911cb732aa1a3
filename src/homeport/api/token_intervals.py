"""A cheap histogram of the times between tokens.

Every streamed token is added, and only from the event loop, so it needs none of the locks with which the library's own
histogram takes a tenth of the gateway's time. Its buckets are narrower than those it reports, so that percentiles of a
few seconds can be estimated from the same counts. Knows nothing of requests.
"""

from collections.abc import Iterable, Sequence
from itertools import accumulate

from prometheus_client.core import HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from homeport.api.durations import DurationCounts, merge_bounds


class TokenIntervalHistogram(Collector):
    """The times of every model, as a Prometheus histogram labelled by the model's name.

    `bounds`: those that are reported, in seconds; `narrow_bounds`: those of the counts.
    """

    def __init__(self, name: str, text: str, bounds: Sequence[float]) -> None:
        self._name, self._text, self._bounds = name, text, bounds
        self.narrow_bounds = merge_bounds(bounds)
        self._reported = [self.narrow_bounds.index(bound) for bound in bounds] + [len(self.narrow_bounds)]
        self._intervals: dict[str, DurationCounts] = {}

    def of(self, model: str) -> DurationCounts:
        """Return the times of a model."""
        return self._intervals.setdefault(model, DurationCounts(self.narrow_bounds))

    def collect(self) -> Iterable[Metric]:
        """Return one family. Its buckets are cumulative, as the format requires."""
        family = HistogramMetricFamily(self._name, self._text, labels=("model_name",))
        names = [*(str(float(bound)) for bound in self._bounds), "+Inf"]
        for model, intervals in self._intervals.items():
            up_to = list(accumulate(map(float, intervals.counts)))
            buckets = [(name, up_to[at]) for name, at in zip(names, self._reported, strict=True)]
            family.add_metric((model,), buckets, intervals.sum_s)
        yield family
