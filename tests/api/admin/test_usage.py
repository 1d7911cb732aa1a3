"""Usage as operators see it: recorded before the answer's end, however it ends, and summed exactly."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qsl

import msgspec
import pytest
from starlette.applications import Starlette
from starlette.types import Message, Receive, Scope, Send

from homeport.api.application import build_application
from homeport.domain.errors import EngineFailed, StorageFull
from homeport.domain.usage import UsageRecord
from homeport.domain.worker_messages import EngineRequest
from homeport.store.usage_ledger import FileUsageLedger
from tests.api.admin.usage_app import DAY, UsageApp
from tests.api.asgi import AsgiResponse, call
from tests.api.fakes import FakeServing, Script, answer, services


class MemoryLedger:
    """A ledger in memory; `is_full` makes it refuse records."""

    def __init__(self) -> None:
        self.records: list[UsageRecord] = []
        self.is_full = False
        self.n_waits = 0

    def write(self, spent: UsageRecord) -> None:
        """Store a record."""
        if self.is_full:
            raise StorageFull("The disk is full.")
        self.records.append(spent)

    async def wait_synced(self) -> None:
        """Do nothing: memory needs no sync."""
        self.n_waits += 1


def application(pen: MemoryLedger, script: Callable[[EngineRequest], Script] | None = None) -> Starlette:
    serving = FakeServing(script) if script else FakeServing()
    return build_application(services(serving, ledger=pen))


async def complete(app: Starlette, **body: object) -> AsgiResponse:
    return await call(
        app, "POST", "/v1/completions", msgspec.json.encode({"model": "gpt-3.5-turbo", "prompt": "a", **body})
    )


@pytest.mark.parametrize("stream", [False, True])
async def test_every_answer_is_recorded(stream: bool) -> None:
    """A record has the answer's usage, the model's own name, the user, and the time taken."""
    pen = MemoryLedger()
    response = await complete(
        application(pen, lambda _: answer("Hello there", prompt_tokens=7, cached=3)), stream=stream, user="u"
    )
    [record] = pen.records
    assert (record.model, record.endpoint, record.status, record.user) == ("tiny", "completions", "ok", "u")
    assert (record.prompt_tokens, record.completion_tokens, record.cached_tokens) == (7, 2, 3)
    assert (record.project, record.key, record.request) == ("local", "", response.headers["x-request-id"])
    assert record.first_ms is not None
    assert 0 < record.first_ms <= record.whole_ms


async def test_it_is_written_before_the_end_is_seen() -> None:
    """When the last chunk of a stream is sent, its record is written and was synced once."""
    pen, seen = MemoryLedger(), []
    app = application(pen)

    async def watching(scope: Scope, receive: Receive, send: Send) -> None:
        async def watched(message: Message) -> None:
            if b"[DONE]" in bytes(str(message.get("body", b"")), "utf-8"):
                seen.append((len(pen.records), pen.n_waits))
            await send(message)

        await app(scope, receive, watched)

    body = msgspec.json.encode({"model": "tiny", "prompt": "a", "stream": True})
    assert (await call(watching, "POST", "/v1/completions", body)).status == 200
    assert seen == [(1, 1)]


async def test_a_broken_request_is_written_down_with_its_error() -> None:
    """A failure of an engine during an answer is a record with the tokens so far and the error's code."""
    pen = MemoryLedger()
    script = [*answer("one two three")[:3], EngineFailed("broke", code="engine_failed")]
    await complete(application(pen, lambda _: script))
    [record] = pen.records
    assert (record.status, record.prompt_tokens, record.completion_tokens) == ("engine_failed", 5, 2)


async def test_a_cancelled_request_is_written_down() -> None:
    """A caller that disconnects leaves a record of what was computed for it."""
    pen, never = MemoryLedger(), asyncio.Event()
    steps = answer("one two three")
    serving = FakeServing(lambda _: [*steps[:3], never, *steps[3:]])
    app = build_application(services(serving, ledger=pen))
    asking = asyncio.create_task(complete(app))
    await serving.opened.wait()
    await serving.streams[0].waits.wait()
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    [record] = pen.records
    assert (record.status, record.prompt_tokens, record.completion_tokens) == ("cancelled", 5, 2)


async def test_a_refused_request_is_no_usage() -> None:
    """A request that reaches no model is not recorded."""
    pen = MemoryLedger()
    await complete(application(pen), max_tokens=-1)
    assert pen.records == []


async def test_what_cannot_be_written_down_is_not_answered() -> None:
    """If the ledger is full, an answer is a 507, and a stream ends with the error and without `[DONE]`."""
    pen = MemoryLedger()
    pen.is_full = True
    response = await complete(application(pen))
    assert (response.status, response.error["code"]) == (507, "storage_full")
    streamed = await complete(application(pen), stream=True)
    assert b"storage_full" in streamed.body
    assert b"[DONE]" not in streamed.body


@pytest.fixture
def usage_app(tmp_path: Path) -> Iterator[UsageApp]:
    app = UsageApp(tmp_path)
    yield app
    app.ledger.close()


async def test_an_operator_can_sum_usage(usage_app: UsageApp) -> None:
    """`/admin/v1/usage` sums by the requested groups, days included, and includes the latest records."""
    response = await usage_app.ask("/admin/v1/usage", ("by", "day"), ("by", "key"), ("until", 101 * DAY))
    assert [(row["day"], row["key"], row["requests"], row["prompt_tokens"]) for row in response.json["data"]] == [
        ("1970-04-11", "k1", 1, 10),
        ("1970-04-11", "k2", 1, 10),
    ]
    [whole] = (await usage_app.ask("/admin/v1/usage")).json["data"]
    assert (whole["requests"], whole["completion_tokens"]) == (6, 10)
    assert (await usage_app.ask("/admin/v1/usage", ("by", "colour"))).error["param"] == "by"
    assert (await usage_app.ask("/admin/v1/usage", ("from", 1))).error["param"] == "from"


@pytest.mark.parametrize(
    "number", ["9223372036854775808", "-9223372036854775809", "9" * 30, "-" + "9" * 4000, "9" * 5000]
)
async def test_a_time_that_no_database_holds_is_refused(usage_app: UsageApp, number: str) -> None:
    """Numbers of more than 64 bits are a 400 that names the field and does not repeat them completely, in both APIs."""
    for path, name in (
        ("/admin/v1/usage", "since"),
        ("/admin/v1/usage", "until"),
        ("/v1/organization/usage/completions", "start_time"),
    ):
        response = await usage_app.ask(path, (name, number))
        assert (response.status, response.error["param"]) == (400, name)
        assert len(response.body) < 500


async def test_an_organizations_usage_has_todays_fields(usage_app: UsageApp) -> None:
    """There are buckets from the first to the last, empty ones too; fields without a group are null."""
    response = await usage_app.ask(
        "/v1/organization/usage/completions", ("start_time", 100 * DAY), ("end_time", 103 * DAY)
    )
    page = response.json
    assert (page["object"], page["has_more"], page["next_page"]) == ("page", False, None)
    assert [(b["object"], b["start_time"] // DAY, b["end_time"] - b["start_time"]) for b in page["data"]] == [
        ("bucket", day, DAY) for day in (100, 101, 102)
    ]
    assert [len(bucket["results"]) for bucket in page["data"]] == [1, 0, 1]
    assert page["data"][0]["results"][0] == {
        "object": "organization.usage.completions.result",
        "input_tokens": 20,
        "output_tokens": 4,
        "input_cached_tokens": 4,
        "input_uncached_tokens": 16,
        "num_model_requests": 2,
        "project_id": None,
        "user_id": None,
        "api_key_id": None,
        "model": None,
        "batch": None,
        "service_tier": None,
    }


async def test_groups_and_filters(usage_app: UsageApp) -> None:
    """Grouped results name their group; filters exclude the others."""
    start = ("start_time", 100 * DAY)
    end = ("end_time", 101 * DAY)
    path = "/v1/organization/usage/completions"
    response = await usage_app.ask(path, start, end, ("group_by[]", "api_key_id"), ("group_by[]", "batch"))
    [bucket] = response.json["data"]
    assert [(each["api_key_id"], each["batch"], each["model"]) for each in bucket["results"]] == [
        ("k1", False, None),
        ("k2", False, None),
    ]
    for chosen in (("api_key_ids", "k2"), ("user_ids", "u")):
        [bucket] = (await usage_app.ask(path, start, end, chosen)).json["data"]
        assert bucket["results"][0]["num_model_requests"] == 1
    for chosen in (("project_ids", "q"), ("models", "other"), ("batch", "true")):
        [bucket] = (await usage_app.ask(path, start, end, chosen)).json["data"]
        assert bucket["results"] == []


async def test_batch_usage_can_be_filtered(usage_app: UsageApp, tmp_path: Path) -> None:
    """The usage of batches can be requested alone, excluded, or summed with the rest."""
    ledger = FileUsageLedger(tmp_path / "usage")
    spent = UsageRecord(
        at=100 * DAY, request="r", project="p", model="m", endpoint="chat", prompt_tokens=7, is_batch=True
    )
    ledger.write(spent)
    ledger.close()
    query = [("start_time", 100 * DAY), ("end_time", 101 * DAY)]
    path = "/v1/organization/usage/completions"
    [bucket] = (await usage_app.ask(path, *query, ("group_by", "batch"))).json["data"]
    assert [(each["batch"], each["input_tokens"]) for each in bucket["results"]] == [(False, 20), (True, 7)]
    for chosen, tokens in (("true", 7), ("false", 20)):
        [bucket] = (await usage_app.ask(path, *query, ("batch", chosen))).json["data"]
        assert bucket["results"][0]["input_tokens"] == tokens


async def test_pages_follow_one_another(usage_app: UsageApp) -> None:
    """A page has `limit` buckets, and `next_page` continues, each bucket once."""
    query = [("start_time", 100 * DAY), ("end_time", 100 * DAY + 7200), ("bucket_width", "1h"), ("limit", 1)]
    path = "/v1/organization/usage/completions"
    first = (await usage_app.ask(path, *query)).json
    assert first["has_more"]
    second = (await usage_app.ask(path, *query, ("page", first["next_page"]))).json
    assert not second["has_more"]
    starts = [bucket["start_time"] - 100 * DAY for page in (first, second) for bucket in page["data"]]
    assert starts == [0, 3600]
    assert [page["data"][0]["results"][0]["num_model_requests"] for page in (first, second)] == [1, 1]


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("embeddings", {"input_tokens": 10}),
        ("audio_speeches", {"characters": 11}),
        ("audio_transcriptions", {"seconds": 3}),
    ],
)
async def test_every_kind_counts_in_its_own_unit(usage_app: UsageApp, kind: str, fields: dict[str, int]) -> None:
    """Embeddings count tokens, speech counts characters, transcription counts seconds."""
    response = await usage_app.ask(f"/v1/organization/usage/{kind}", ("start_time", 102 * DAY), ("end_time", 103 * DAY))
    [result] = response.json["data"][0]["results"]
    assert result["object"] == f"organization.usage.{kind}.result"
    assert {name: result[name] for name in fields} == fields
    assert result["num_model_requests"] == 1
    assert "output_tokens" not in result


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("", "start_time"),
        ("start_time=-1", "start_time"),
        ("start_time=5&end_time=5", "end_time"),
        ("start_time=5&bucket_width=1w", "bucket_width"),
        ("start_time=5&limit=32", "limit"),
        ("start_time=5&group_by=colour", "group_by"),
        ("start_time=5&page=7", "page"),
        ("start_time=5&colour=red", "colour"),
    ],
)
async def test_a_wrong_question_is_named(usage_app: UsageApp, query: str, param: str) -> None:
    """Every parameter has its range, and unknown ones are refused."""
    response = await usage_app.ask("/v1/organization/usage/completions", *parse_qsl(query, keep_blank_values=True))
    assert response.status == 400
    assert response.error["param"] == param


async def test_usage_requires_an_admin_key(usage_app: UsageApp) -> None:
    """A caller's key gives no access to an organization's usage; unknown kinds are a 404."""
    path = "/v1/organization/usage/completions"
    assert (await usage_app.ask(path, ("start_time", 1), key="sk-a-callers-key")).status == 401
    assert (await usage_app.ask("/admin/v1/usage", key="sk-a-callers-key")).status == 404
    assert (await usage_app.ask("/v1/organization/usage/images", ("start_time", 1))).status == 404
