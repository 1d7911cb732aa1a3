"""The series of samples: what grew between two of them, and that its memory is bounded."""

import math
import tracemalloc

import pytest

from homeport.api.metric_series import (
    MAX_MODELS,
    MAX_SAMPLES,
    MODEL_FIELDS,
    SERVER_FIELDS,
    MachineMemory,
    MetricSeries,
    Sample,
    Sources,
)
from homeport.api.metrics import Metrics
from homeport.domain.events import Usage
from homeport.domain.models import EngineStats
from tests.fake_clock import FakeClock


class SampledServer:
    """Metrics on a clock of its own, and their series. `stats`, `memory`: what the workers report."""

    def __init__(self) -> None:
        self.clock = FakeClock(1000.0)
        self.stats: dict[str, EngineStats] = {}
        self.memory: dict[str, int] = {}
        self.metrics = Metrics(clock=self.clock)
        sources = Sources(lambda: self.stats, lambda: self.memory, lambda: 123, lambda: MachineMemory(7, 9))
        self.series = MetricSeries(self.metrics, sources, self.clock, self.clock)

    async def sample(self, after_s: float = 2.0) -> Sample:
        """Let time pass, and sample."""
        self.clock.now += after_s
        await self.series.sample()
        return self.series.recent.after().items[-1]

    def answer(self, model: str = "tiny", tokens: int = 3, gap_s: float = 0.1) -> None:
        """Play a whole answer of single tokens to a prompt of ten."""
        request = self.metrics.start_request(model, "chat")
        request.on_admitted(10)
        for _ in range(tokens):
            self.clock.now += gap_s
            request.count_tokens()
        request.close(Usage(10, tokens))
        request.on_ended("ok")


def model_values(sample: Sample, model: str = "tiny") -> dict[str, float]:
    return dict(zip(MODEL_FIELDS, sample.models[model], strict=True))


def server_values(sample: Sample) -> dict[str, float]:
    return dict(zip(SERVER_FIELDS, sample.server, strict=True))


async def test_a_sample_holds_what_grew() -> None:
    """Tokens and ended requests count in the sample after them, and in no other."""
    server = SampledServer()
    server.answer(tokens=3, gap_s=0.0)
    first = model_values(await server.sample(after_s=2.0))
    assert (first["prompt_tokens"], first["generated_tokens"], first["requests_ok"]) == (10, 3, 1)
    assert (first["prompt_tokens_per_s"], first["generated_tokens_per_s"]) == (5.0, 1.5)
    assert (await server.sample()).models == {}
    server.answer(tokens=2)
    assert model_values(await server.sample())["generated_tokens"] == 2


async def test_tokens_count_while_an_answer_grows() -> None:
    """A running answer's tokens are in the sample in which they were generated, and are not counted again at its end.

    Those without a delta are counted at the end.
    """
    server = SampledServer()
    request = server.metrics.start_request("tiny", "chat")
    request.on_admitted(10)
    request.count_tokens(4)
    assert model_values(await server.sample())["generated_tokens"] == 4
    request.count_tokens(1)
    request.close(Usage(10, 12))
    last = model_values(await server.sample())
    assert (last["prompt_tokens"], last["generated_tokens"]) == (0, 8)


async def test_times_are_those_of_the_sample() -> None:
    """The percentiles are of this sample's tokens only; without tokens there are none."""
    server = SampledServer()
    server.answer(tokens=21, gap_s=0.1)
    values = model_values(await server.sample())
    assert values["first_token_p50_s"] == pytest.approx(0.1, rel=0.1)
    assert values["token_interval_p95_s"] == pytest.approx(0.1, rel=0.1)
    server.answer(tokens=21, gap_s=0.02)
    assert model_values(await server.sample())["token_interval_p95_s"] == pytest.approx(0.02, rel=0.1)
    server.stats["tiny"] = EngineStats()
    quiet = model_values(await server.sample())
    assert math.isnan(quiet["first_token_p50_s"])
    assert math.isnan(quiet["token_interval_p50_s"])


async def test_the_state_of_workers_is_sampled() -> None:
    """Queue, cells, memory and the share of prefix hits are the workers'; a restarted worker counts from 0 again."""
    server = SampledServer()
    server.stats["tiny"] = EngineStats(2, 3, cells_used=5, cells=10, prefix_queries=100, prefix_hits=25, device_bytes=7)
    server.memory["tiny"] = 4096
    sample = await server.sample()
    values = model_values(sample)
    assert (values["running"], values["waiting"], values["cells_used"], values["cells"]) == (2, 3, 5, 10)
    assert (values["memory_bytes"], values["device_bytes"], values["prefix_hit_share"]) == (4096, 7, 0.25)
    own = server_values(sample)
    assert (own["gateway_bytes"], own["machine_used_bytes"], own["machine_bytes"]) == (123, 7, 9)
    server.stats["tiny"] = EngineStats(prefix_queries=10, prefix_hits=9)
    assert model_values(await server.sample())["prefix_hit_share"] == 0.9
    assert math.isnan(model_values(await server.sample())["prefix_hit_share"])


async def test_the_server_is_the_sum_of_its_models() -> None:
    """Counts and states of all models are added, and times are those of all tokens together."""
    server = SampledServer()
    server.answer("a", tokens=40, gap_s=0.01)
    server.answer("b", tokens=4, gap_s=1.0)
    server.stats |= {"a": EngineStats(running=1, cells=5), "b": EngineStats(running=2, cells=6)}
    server.memory |= {"a": 10, "b": 20}
    values = server_values(await server.sample())
    assert (values["generated_tokens"], values["requests_ok"]) == (44, 2)
    assert (values["running"], values["cells"], values["memory_bytes"]) == (3, 11, 30)
    assert values["token_interval_p50_s"] == pytest.approx(0.01, rel=0.1)
    assert values["token_interval_p95_s"] == pytest.approx(1.0, rel=0.1)


async def test_requests_count_by_how_they_ended() -> None:
    """Cancelled and failed requests are counted apart; HTTP responses by class, without those of monitoring."""
    server = SampledServer()
    for status in ("ok", "cancelled", "engine_failed", "context_length_exceeded"):
        server.metrics.start_request("tiny", "chat").on_ended(status)
    own = ("/health", "/admin/v1/usage", "/page/session", "/")
    for route, code in (("/v1/models", 200), ("/v1/models", 429), *((path, 200) for path in own)):
        server.metrics.count_response(route, "GET", code)
    sample = await server.sample()
    values = model_values(sample)
    assert [values[f"requests_{name}"] for name in ("ok", "cancelled", "failed")] == [1, 1, 2]
    assert [server_values(sample)[f"responses_{digit}xx"] for digit in (2, 4, 5)] == [1, 1, 0]


async def test_memory_is_bounded() -> None:
    """After any time there are as many samples as 15 minutes have, of a bounded number of models, in 3 MB."""
    server = SampledServer()
    server.stats |= {f"m{at}": EngineStats(cells=10**6) for at in range(MAX_MODELS + 5)}
    server.answer("m20")
    tracemalloc.start()
    try:
        for _ in range(MAX_SAMPLES + 10):
            sample = await server.sample()
            assert len(sample.models) == MAX_MODELS
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    samples = server.series.recent.after().items
    assert len(samples) == MAX_SAMPLES
    assert used < 3_000_000


async def test_the_busiest_models_are_sampled() -> None:
    """If there are more models than a sample holds, those that work are among them."""
    server = SampledServer()
    server.stats |= {f"m{at}": EngineStats() for at in range(MAX_MODELS + 5)}
    server.answer(f"m{MAX_MODELS + 4}")
    assert f"m{MAX_MODELS + 4}" in (await server.sample()).models
