"""The series of metrics over HTTP: columns for plots, and each new sample as an event."""

import asyncio

import pytest
from starlette.types import ASGIApp

from homeport.api.access_policy import AccessPolicy
from homeport.api.application import build_application
from homeport.api.metric_series import INTERVAL_S, MODEL_FIELDS, SERVER_FIELDS, MetricSeries, Sources
from homeport.api.metrics import Metrics
from homeport.api.services import Limits
from homeport.domain.events import Usage
from homeport.domain.models import EngineStats
from tests.api.asgi import AsgiResponse, call
from tests.api.event_reader import reading
from tests.api.fakes import services
from tests.fake_clock import FakeClock

ADMIN = "the-operators-own-key"
PATH = "/admin/v1/metrics/series"
HEADERS = {"authorization": f"Bearer {ADMIN}"}


class SampledApp:
    """An application whose series is sampled by hand, on a clock of its own."""

    def __init__(self) -> None:
        self.clock = FakeClock(1000.0)
        self.metrics = Metrics(clock=self.clock)
        self.stats: dict[str, EngineStats] = {}
        self.series = MetricSeries(self.metrics, Sources(lambda: self.stats), self.clock, self.clock)
        access = AccessPolicy.from_keys(("sk-a-callers-own-key",), admin_keys=(ADMIN,))
        self.app: ASGIApp = build_application(
            services(metrics=self.metrics, series=self.series, access=access, limits=Limits(ping_s=0.02))
        )

    async def sample(self, model: str = "", tokens: int = 0) -> None:
        """Let two seconds pass, in which a model generates tokens, and sample."""
        self.clock.now += 2.0
        if model:
            self.metrics.start_request(model, "chat").close(Usage(5, tokens))
        await self.series.sample()

    async def ask(self, query: str = "", key: str = ADMIN) -> AsgiResponse:
        """Ask for the series."""
        return await call(self.app, "GET", PATH + query, headers={"authorization": f"Bearer {key}"})


@pytest.fixture
def sampled() -> SampledApp:
    return SampledApp()


async def test_columns_have_a_number_for_each_time(sampled: SampledApp) -> None:
    """Every column is as long as `times`; a model without a sample at a time, and a time of nothing, are null."""
    await sampled.sample("tiny", 8)
    await sampled.sample("other", 3)
    body = (await sampled.ask()).json
    assert body["times"] == [1002.0, 1004.0]
    assert body["interval_s"] == INTERVAL_S
    assert list(body["server"]) == list(SERVER_FIELDS)
    assert body["server"]["generated_tokens"] == [8, 3]
    assert body["server"]["generated_tokens_per_s"] == [4.0, 1.5]
    tiny, other = body["models"]
    assert list(tiny) == ["model", *MODEL_FIELDS]
    assert (tiny["model"], tiny["generated_tokens"]) == ("tiny", [8, None])
    assert (other["model"], other["generated_tokens"]) == ("other", [None, 3])
    assert tiny["token_interval_p50_s"] == [None, None]


async def test_later_samples_only(sampled: SampledApp) -> None:
    """`after` leaves out what a reader has; the rest is the same."""
    for tokens in (1, 2, 3):
        await sampled.sample("tiny", tokens)
    body = (await sampled.ask("?after=1002")).json
    assert (body["times"], body["server"]["generated_tokens"]) == ([1004.0, 1006.0], [2, 3])
    assert (await sampled.ask("?after=1e9")).json["models"] == []


async def test_new_samples_are_events(sampled: SampledApp) -> None:
    """A stream begins with the next sample, has comments in silence, and ends with the server."""
    await sampled.sample("tiny", 1)
    async with reading(sampled.app, f"{PATH}/events", HEADERS) as (reader, task):
        assert (reader.status, reader.headers[b"content-type"]) == (200, b"text/event-stream; charset=utf-8")
        assert await reader.take_frame() == b": ping\n\n"
        sampled.stats["tiny"] = EngineStats(running=4)
        await sampled.sample("tiny", 7)
        event = await reader.take()
        assert (event["time"], event["server"]["generated_tokens"]) == (1004.0, 7)
        assert [(each["model"], each["running"]) for each in event["models"]] == [("tiny", 4)]
        assert event["server"]["first_token_p50_s"] is None
        sampled.series.recent.close()
        async with asyncio.timeout(10):
            await task


async def test_a_stream_continues_where_a_series_ended(sampled: SampledApp) -> None:
    """With the last time of a series as `after`, no sample is missing between the two."""
    for tokens in (1, 2, 3):
        await sampled.sample("tiny", tokens)
    async with reading(sampled.app, f"{PATH}/events?after=1002", HEADERS) as (reader, _):
        assert [(await reader.take())["server"]["generated_tokens"] for _ in range(2)] == [2, 3]


@pytest.mark.parametrize(("query", "param"), [("?after=soon", "after"), ("?after=nan", "after"), ("?x=1", "x")])
async def test_a_wrong_question_is_named(sampled: SampledApp, query: str, param: str) -> None:
    """Other values and unknown parameters are refused by name, by the stream too."""
    for path in ("", "/events"):
        response = await sampled.ask(path + query)
        assert (response.status, response.error["param"]) == (400, param)


async def test_only_an_admin_reads_it(sampled: SampledApp) -> None:
    """For other keys neither path exists; a server without a series says so."""
    for path in ("", "/events"):
        assert (await sampled.ask(path, key="sk-a-callers-own-key")).status == 404
    app = build_application(services(access=AccessPolicy.from_keys(admin_keys=(ADMIN,))))
    assert (await call(app, "GET", PATH, headers=HEADERS)).status == 503
