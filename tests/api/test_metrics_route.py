"""Metrics as a scraper reads them."""

from prometheus_client.parser import text_string_to_metric_families

from homeport.api.application import build_application
from homeport.domain.models import EngineStats
from tests.api.asgi import call
from tests.api.fakes import FakeServing, loaded, services

WANTED = {
    "vllm:num_requests_running",
    "vllm:num_requests_waiting",
    "vllm:kv_cache_usage_perc",
    "vllm:prefix_cache_queries",
    "vllm:prefix_cache_hits",
    "vllm:prompt_tokens",
    "vllm:generation_tokens",
    "vllm:request_success",
    "vllm:time_to_first_token_seconds",
    "vllm:inter_token_latency_seconds",
    "vllm:e2e_request_latency_seconds",
    "vllm:request_queue_time_seconds",
    "vllm:request_prefill_time_seconds",
    "vllm:request_decode_time_seconds",
    "vllm:request_prompt_tokens",
    "vllm:request_generation_tokens",
    "vllm:request_max_num_generation_tokens",
    "http_requests",
}


async def test_metrics_have_vllms_names() -> None:
    """A scrape can be parsed, and has every name that vLLM's dashboards read."""
    serving = FakeServing()
    serving.running["tiny"] = (loaded("tiny"), EngineStats(running=1))
    response = await call(build_application(services(serving)), "GET", "/metrics")
    families = {family.name for family in text_string_to_metric_families(response.body.decode())}
    assert families >= WANTED
    assert 'vllm:num_requests_running{model_name="tiny"} 1.0' in response.body.decode()


async def test_labels_stay_bounded() -> None:
    """However many paths, names and methods are tried, requests are counted under route templates only."""
    app = build_application(services())
    for n in range(5):
        await call(app, "GET", f"/v1/models/none-{n}")
        await call(app, "GET", f"/v1/nowhere-{n}")
        await call(app, f"BREW{n}", f"/v1/nowhere-{n}")
    text = (await call(app, "GET", "/metrics")).body.decode()
    lines = {line for line in text.splitlines() if line.startswith("http_requests_total")}
    assert lines == {
        'http_requests_total{handler="/v1/models/{model:path}",method="GET",status="4xx"} 5.0',
        'http_requests_total{handler="unknown",method="GET",status="4xx"} 5.0',
        'http_requests_total{handler="unknown",method="OTHER",status="4xx"} 5.0',
    }
