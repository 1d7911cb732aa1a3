"""What is counted, and under which names."""

from homeport.api.metrics import Metrics
from homeport.domain.events import Usage
from homeport.domain.models import EngineStats
from tests.fake_clock import FakeClock


def sample(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def test_one_request_is_measured_from_arrival_to_end() -> None:
    """First token, times between tokens, total time, tokens and finish reasons appear under vLLM's names."""
    clock = FakeClock()
    metrics = Metrics(clock=clock)
    request = metrics.start_request("tiny", "completions")
    request.on_admitted(7)
    clock.now = 2.0
    request.count_tokens(1)
    clock.now = 5.0
    request.count_tokens(3)
    request.on_finished("length")
    clock.now = 6.0
    request.close(Usage(7, 4))
    request.close(Usage(7, 4))
    of = {"model_name": "tiny"}
    assert sample(metrics, "vllm:time_to_first_token_seconds_sum", **of) == 2.0
    assert sample(metrics, "vllm:inter_token_latency_seconds_count", **of) == 3
    assert sample(metrics, "vllm:inter_token_latency_seconds_sum", **of) == 3.0
    assert sample(metrics, "vllm:e2e_request_latency_seconds_sum", **of) == 6.0
    assert sample(metrics, "vllm:e2e_request_latency_seconds_count", **of) == 1
    assert sample(metrics, "vllm:prompt_tokens_total", **of) == 7
    assert sample(metrics, "vllm:generation_tokens_total", **of) == 4
    assert sample(metrics, "vllm:request_success_total", finished_reason="length", **of) == 1


def test_a_request_is_split_into_waiting_reading_and_writing() -> None:
    """The three phases of vLLM's dashboard add up to the time of the last token."""
    clock = FakeClock()
    metrics = Metrics(clock=clock)
    request = metrics.start_request("tiny", "completions")
    clock.now = 1.0
    request.on_admitted(7)
    clock.now = 3.0
    request.count_tokens(1)
    clock.now = 7.0
    request.count_tokens(3)
    clock.now = 8.0
    request.close(Usage(7, 4), 3)
    of = {"model_name": "tiny"}
    sums = [sample(metrics, f"vllm:request_{phase}_time_seconds_sum", **of) for phase in ("queue", "prefill", "decode")]
    assert sums == [1.0, 2.0, 4.0]
    assert sample(metrics, "vllm:request_max_num_generation_tokens_sum", **of) == 3


def test_phases_that_were_not_reached_are_not_measured() -> None:
    """A request that was refused, or ended before its first token, counts in no phase that it did not reach."""
    metrics = Metrics()
    metrics.start_request("tiny", "completions").close(Usage())
    waited = metrics.start_request("tiny", "completions")
    waited.on_admitted(7)
    waited.close(Usage(7))
    of = {"model_name": "tiny"}
    names = ("queue", "prefill", "decode")
    assert [sample(metrics, f"vllm:request_{name}_time_seconds_count", **of) for name in names] == [1, None, None]


def test_the_background_is_counted_and_not_timed() -> None:
    """The tokens of a background request count, its latencies do not."""
    metrics = Metrics()
    request = metrics.start_request("tiny", "completions", is_background=True)
    request.on_admitted(7)
    request.count_tokens(1)
    request.count_tokens(3)
    request.close(Usage(7, 4))
    of = {"model_name": "tiny"}
    assert request.first_ms is not None
    assert sample(metrics, "vllm:generation_tokens_total", **of) == 4
    assert not sample(metrics, "vllm:time_to_first_token_seconds_count", **of)
    assert not sample(metrics, "vllm:inter_token_latency_seconds_count", **of)
    assert not sample(metrics, "vllm:e2e_request_latency_seconds_count", **of)
    assert not sample(metrics, "vllm:request_queue_time_seconds_count", **of)
    assert sample(metrics, "vllm:request_max_num_generation_tokens_sum", **of) == 4


def test_a_gauge_is_read_at_each_scrape() -> None:
    """A gauge of the server shows its current value."""
    metrics, numbers = Metrics(), [1]
    metrics.gauge("batches_running", "How many.", lambda: numbers[0])
    assert sample(metrics, "homeport:batches_running") == 1
    numbers[0] = 5
    assert sample(metrics, "homeport:batches_running") == 5


def test_workers_gauges_are_read_at_each_scrape() -> None:
    """Running, waiting, cache use and prefix hits are the workers' current values."""
    state = {"tiny": EngineStats(running=2, waiting=3, cells_used=5, cells=10, prefix_queries=8, prefix_hits=4)}
    metrics = Metrics(lambda: state)
    assert sample(metrics, "vllm:num_requests_running", model_name="tiny") == 2
    assert sample(metrics, "vllm:num_requests_waiting", model_name="tiny") == 3
    assert sample(metrics, "vllm:kv_cache_usage_perc", model_name="tiny") == 0.5
    assert sample(metrics, "vllm:prefix_cache_queries_total", model_name="tiny") == 8
    assert sample(metrics, "vllm:prefix_cache_hits_total", model_name="tiny") == 4
    state.clear()
    assert sample(metrics, "vllm:num_requests_running", model_name="tiny") is None


def test_a_model_without_cells_uses_none() -> None:
    """A worker without a KV cache reports 0, not a division by zero."""
    metrics = Metrics(lambda: {"tiny": EngineStats()})
    assert sample(metrics, "vllm:kv_cache_usage_perc", model_name="tiny") == 0


def test_two_apps_count_apart() -> None:
    """The metrics of two applications in one process share no state."""
    one, other = Metrics(), Metrics()
    one.count_response("/v1/models", "GET", 200)
    assert sample(one, "http_requests_total", handler="/v1/models", method="GET", status="2xx") == 1
    assert sample(other, "http_requests_total", handler="/v1/models", method="GET", status="2xx") is None
