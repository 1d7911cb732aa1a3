"""The histogram of times between tokens, compared with the library's own."""

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram

from homeport.api.token_intervals import TokenIntervalHistogram

BOUNDS = (0.005, 0.01, 0.1, 1.0, 40.0)
NAME = "vllm:gap_seconds"
Added = list[tuple[float, int]]
added = st.lists(
    st.tuples(st.floats(0, 100) | st.sampled_from(BOUNDS), st.integers(1, 5)),
    max_size=30,
)


def _samples(registry: CollectorRegistry) -> dict[tuple[str, str | None], float]:
    return {
        (sample.name, sample.labels.get("le")): round(sample.value, 6)
        for metric in registry.collect()
        for sample in metric.samples
        if not sample.name.endswith("_created")
    }


@given(added)
def test_it_equals_the_librarys_histogram(gaps: Added) -> None:
    """Every bucket, the count and the sum are those of one observation per token."""
    theirs, ours = CollectorRegistry(), CollectorRegistry()
    known = Histogram(NAME, "Gaps.", ("model_name",), buckets=BOUNDS, registry=theirs).labels("tiny")
    histogram = TokenIntervalHistogram(NAME, "Gaps.", BOUNDS)
    ours.register(histogram)
    counted = histogram.of("tiny")
    for gap_s, n in gaps:
        counted.add(gap_s, n)
        for _ in range(n):
            known.observe(gap_s)
    assert _samples(ours) == _samples(theirs)


def test_models_are_counted_apart() -> None:
    """Models are counted separately, and the same model is counted further."""
    registry, histogram = CollectorRegistry(), TokenIntervalHistogram(NAME, "Gaps.", BOUNDS)
    registry.register(histogram)
    histogram.of("a").add(0.5)
    histogram.of("b").add(2.0, 3)
    histogram.of("a").add(0.5)
    assert registry.get_sample_value(f"{NAME}_count", {"model_name": "a"}) == 2
    assert registry.get_sample_value(f"{NAME}_sum", {"model_name": "b"}) == 6.0
    assert registry.get_sample_value(f"{NAME}_bucket", {"model_name": "a", "le": "+Inf"}) == 2
