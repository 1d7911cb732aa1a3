"""`/admin/v1/usage`: exact sums in pages, as JSON and as CSV that no spreadsheet executes."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qsl

import pytest

from tests.api.admin.usage_app import DAY, UsageApp

USAGE = "/admin/v1/usage"


@pytest.fixture
def usage_app(tmp_path: Path) -> Iterator[UsageApp]:
    app = UsageApp(tmp_path)
    yield app
    app.ledger.close()


async def test_the_groups_of_usage_are_exact(usage_app: UsageApp) -> None:
    """By all groups together the rows are the records; by fewer, their sums; the older names ask the same."""
    names = ("project", "key", "user", "model", "endpoint")
    rows = (await usage_app.ask(USAGE, *(("group_by", name) for name in names))).json["data"]
    assert [tuple(row[name] for name in names) for row in rows] == [
        ("p", "", "", "other", "edits"),
        ("p", "", "", "tiny", "embeddings"),
        ("p", "", "", "tiny", "speech"),
        ("p", "", "", "tiny", "transcribe"),
        ("p", "k1", "", "tiny", "chat"),
        ("p", "k2", "u", "tiny", "chat"),
    ]
    by_model = (await usage_app.ask(USAGE, ("group_by[]", "model"), ("start", 101 * DAY))).json["data"]
    assert [(row["model"], row["requests"], row["amount"]) for row in by_model] == [
        ("other", 1, 0.0),
        ("tiny", 3, 13.6),
    ]
    older = (await usage_app.ask(USAGE, ("by", "model"), ("since", 101 * DAY))).json["data"]
    assert older == by_model


async def test_buckets_have_times(usage_app: UsageApp) -> None:
    """With a bucket each row has its beginning and end, and only buckets with usage are listed."""
    rows = (await usage_app.ask(USAGE, ("bucket", "1h"), ("end", 101 * DAY))).json["data"]
    assert [(row["start_time"] - 100 * DAY, row["end_time"] - row["start_time"]) for row in rows] == [
        (0, 3600),
        (3600, 3600),
    ]
    [row] = (await usage_app.ask(USAGE, ("bucket", "1d"), ("group_by", "day"), ("end", 101 * DAY))).json["data"]
    assert (row["day"], row["start_time"], row["requests"]) == ("1970-04-11", 100 * DAY, 2)


@pytest.mark.parametrize(
    ("query", "requests"),
    [
        ([("keys", "k1"), ("keys", "k2")], 2),
        ([("users", "u")], 1),
        ([("models", "other")], 1),
        ([("endpoints", "chat"), ("endpoints", "edits")], 3),
        ([("projects", "none")], 0),
    ],
)
async def test_usage_is_selected(usage_app: UsageApp, query: list[tuple[str, str]], requests: int) -> None:
    """Each of the plural parameters selects records by its values."""
    rows = (await usage_app.ask(USAGE, *query)).json["data"]
    assert sum(row["requests"] for row in rows) == requests


@pytest.mark.parametrize("format", ["json", "csv"])
async def test_pages_of_usage_have_every_row_once(usage_app: UsageApp, format: str) -> None:
    """Pages follow one another, in JSON and in CSV, and together they are the whole list."""
    query = [("group_by", "endpoint"), ("format", format), ("limit", 2)]
    seen: list[str] = []
    page, n_pages = None, 0
    while n_pages == 0 or page is not None:
        response = await usage_app.ask(USAGE, *query, *([("page", page)] if page else []))
        if format == "json":
            seen += [row["endpoint"] for row in response.json["data"]]
            page = response.json["next_page"]
            assert response.json["has_more"] == (page is not None)
        else:
            seen += [row["endpoint"] for row in csv.DictReader(io.StringIO(response.body.decode()))]
            page = response.headers.get("x-homeport-next-page")
        n_pages += 1
    assert (seen, n_pages) == (["chat", "edits", "embeddings", "speech", "transcribe"], 3)


async def test_pages_are_not_changed_by_later_requests(usage_app: UsageApp) -> None:
    """What is recorded after the first page is on none of the next ones."""
    usage_app.now = 103.0 * DAY
    first = (await usage_app.ask(USAGE, ("group_by", "endpoint"), ("limit", 1))).json
    usage_app.record(at=104 * DAY, endpoint="aaa")
    usage_app.record(at=104 * DAY, endpoint="edits")
    second = (await usage_app.ask(USAGE, ("group_by", "endpoint"), ("limit", 1), ("page", first["next_page"]))).json
    assert [(row["endpoint"], row["requests"]) for row in second["data"]] == [("edits", 1)]


async def test_csv_equals_json(usage_app: UsageApp) -> None:
    """The columns and values of CSV are those of JSON, and it is a file for download."""
    query = [("group_by", "day"), ("group_by", "model"), ("bucket", "1d")]
    rows = (await usage_app.ask(USAGE, *query)).json["data"]
    response = await usage_app.ask(USAGE, *query, ("format", "csv"))
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    assert response.headers["content-disposition"] == 'attachment; filename="usage.csv"'
    found = list(csv.DictReader(io.StringIO(response.body.decode())))
    assert found == [{name: str(value) for name, value in row.items() if name != "object"} for row in rows]
    empty = await usage_app.ask(USAGE, *query, ("format", "csv"), ("models", "none"))
    assert empty.body.decode().split("\r\n") == [",".join(found[0]), ""]


async def test_no_cell_is_a_formula(usage_app: UsageApp) -> None:
    """A user's name that a spreadsheet would execute is text there, and a quote or line end stays in its cell."""
    for user in ("=1+1", "+1", "-1", "@SUM(1)", " =1", "\t=1", "\uff1d1", 'a","b\r\nc', "-"):
        usage_app.record(user=user)
    response = await usage_app.ask(USAGE, ("group_by", "user"), ("format", "csv"), ("start", 104 * DAY))
    users = [row["user"] for row in csv.DictReader(io.StringIO(response.body.decode()))]
    assert sorted(users) == sorted(
        ["'=1+1", "'+1", "'-1", "'@SUM(1)", "' =1", "'\\x09=1", "'\uff1d1", 'a","b\\x0d\\x0ac', "'-"]
    )


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("group_by=colour", "group_by"),
        ("by=key&group_by=key", "by"),
        ("start=1&since=1", "since"),
        ("end=1&until=1", "until"),
        ("start=soon", "start"),
        ("bucket=1w", "bucket"),
        ("bucket=1h&group_by=day", "bucket"),
        ("format=xml", "format"),
        ("limit=0", "limit"),
        ("limit=10001", "limit"),
        ("page=2", "page"),
        ("page=page_1_9999999999999999", "page"),
        ("&".join(["keys=a"] * 101), "keys"),
    ],
)
async def test_a_wrong_question_of_an_operator_is_named(usage_app: UsageApp, query: str, param: str) -> None:
    """Parameters of `/admin/v1/usage` have their ranges, and two names of one cannot be given together."""
    response = await usage_app.ask(USAGE, *parse_qsl(query))
    assert (response.status, response.error["param"]) == (400, param)
