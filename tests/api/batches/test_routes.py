"""`/v1/batches` over HTTP, and the results of lines that run through the application."""

from pathlib import Path
from typing import Any

import pytest

from homeport.api.batches.convert import ENDPOINTS
from homeport.domain.errors import NotFound
from homeport.domain.keys import KeyLimits
from homeport.domain.kinds import KINDS, TEXT
from homeport.domain.usage import UsageQuery
from tests.api.batches.batch_app import BatchApp, line


@pytest.fixture
def batch_app(tmp_path: Path) -> BatchApp:
    return BatchApp(tmp_path)


async def test_a_batch_has_todays_fields(batch_app: BatchApp) -> None:
    """A new batch has every field of OpenAI's, with null for future times."""
    metadata = {"customer": "é"}
    wanted = await batch_app.batch_body(metadata=metadata)
    made = (await batch_app.ask("POST", "", wanted)).json
    assert made["expires_at"] - made["created_at"] == 86_400
    assert made == {
        "id": made["id"],
        "object": "batch",
        "endpoint": "/v1/completions",
        "model": None,
        "errors": None,
        "input_file_id": wanted["input_file_id"],
        "completion_window": "24h",
        "status": "validating",
        "output_file_id": None,
        "error_file_id": None,
        "created_at": made["created_at"],
        "in_progress_at": None,
        "expires_at": made["expires_at"],
        "finalizing_at": None,
        "completed_at": None,
        "failed_at": None,
        "expired_at": None,
        "cancelling_at": None,
        "cancelled_at": None,
        "request_counts": {"total": 0, "completed": 0, "failed": 0},
        "usage": {
            "input_tokens": 0,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": 0,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 0,
        },
        "metadata": metadata,
    }
    assert (await batch_app.ask("GET", f"/{made['id']}")).json == made


@pytest.mark.parametrize(
    ("changed", "param"),
    [
        ({"endpoint": "/v1/files"}, "endpoint"),
        ({"endpoint": "/v1/audio/speech"}, "endpoint"),
        ({"endpoint": "/v1/batches"}, "endpoint"),
        ({"completion_window": "1h"}, "completion_window"),
        ({"input_file_id": "file-nowhere"}, "input_file_id"),
        ({"input_file_id": 7}, "input_file_id"),
        ({"metadata": {"k": "v" * 513}}, "metadata.k"),
        ({"metadata": {str(at): "" for at in range(17)}}, "metadata"),
        ({"output_expires_after": {"anchor": "created_at", "seconds": 3599}}, "output_expires_after.seconds"),
        ({"output_expires_after": {"anchor": "now", "seconds": 3600}}, "output_expires_after.anchor"),
        ({"priority": 1}, "priority"),
    ],
)
async def test_invalid_values_are_refused_by_name(batch_app: BatchApp, changed: dict[str, Any], param: str) -> None:
    """Each invalid value is a 400 that names its field, and nothing is created."""
    response = await batch_app.ask("POST", "", await batch_app.batch_body(**changed))
    assert (response.status, response.error["param"]) == (400, param)
    assert (await batch_app.ask("GET", "")).json["data"] == []


@pytest.mark.parametrize("name", ["input_file_id", "endpoint", "completion_window"])
async def test_a_missing_field_is_named(batch_app: BatchApp, name: str) -> None:
    """A body without a required field is a 400 that names it."""
    wanted = await batch_app.batch_body()
    del wanted[name]
    response = await batch_app.ask("POST", "", wanted)
    assert (response.status, response.error["param"], response.error["code"]) == (
        400,
        name,
        "missing_required_parameter",
    )


async def test_the_file_must_be_for_batches(batch_app: BatchApp) -> None:
    """A file with another purpose, or of another project, is refused as input of a batch."""
    other = await batch_app.upload_lines([{"prompt": "a", "completion": "b"}], purpose="fine-tune")
    theirs = await batch_app.upload_lines([line("a")], "other")
    for file_id, code in ((other, "invalid_file_purpose"), (theirs, "file_not_found")):
        response = await batch_app.ask("POST", "", {**await batch_app.batch_body(), "input_file_id": file_id})
        assert (response.status, response.error["param"], response.error["code"]) == (400, "input_file_id", code)


async def test_a_project_sees_only_its_own_batches(batch_app: BatchApp) -> None:
    """Another project's batch is a 404 and in no list; pages follow one another."""
    ids = [(await batch_app.create_batch([line("a")]))["id"] for _ in range(3)]
    for method, path in (("GET", f"/{ids[0]}"), ("POST", f"/{ids[0]}/cancel")):
        response = await batch_app.ask(method, path, project="other")
        assert (response.status, response.error["code"]) == (404, "batch_not_found")
    assert (await batch_app.ask("GET", "", project="other")).json["data"] == []
    first = (await batch_app.ask("GET", "", query="limit=2")).json
    assert ([each["id"] for each in first["data"]], first["has_more"]) == ([ids[2], ids[1]], True)
    assert (first["object"], first["first_id"], first["last_id"]) == ("list", ids[2], ids[1])
    rest = (await batch_app.ask("GET", "", query=f"limit=2&after={ids[1]}")).json
    assert ([each["id"] for each in rest["data"]], rest["has_more"]) == ([ids[0]], False)
    for query, param in (("limit=0", "limit"), ("limit=101", "limit"), ("after=x", "after"), ("order=asc", "order")):
        response = await batch_app.ask("GET", "", query=query)
        assert (response.status, response.error["param"]) == (400, param)


async def test_lines_are_answered_as_requests_are(batch_app: BatchApp) -> None:
    """Each line runs through the whole application, in the background; an invalid one has the error of a request."""
    lines = [line("a"), line("b", temperature=9), line("c", model="nowhere"), line("d", what=1)]
    made = await batch_app.create_batch(lines)
    async with batch_app.run_batches():
        ended = await batch_app.wait_until_ended(made["id"])
    assert ended["request_counts"] == {"total": 4, "completed": 1, "failed": 3}
    [answer] = await batch_app.lines(ended["output_file_id"])
    body = answer["response"]["body"]
    assert (answer["custom_id"], body["model"], body["choices"][0]["text"]) == ("a", "tiny", "Hello there")
    assert answer["response"]["request_id"].startswith("req_")
    failed = {each["custom_id"]: each["response"] for each in await batch_app.lines(ended["error_file_id"])}
    assert {name: each["status_code"] for name, each in failed.items()} == {"b": 400, "c": 404, "d": 400}
    assert failed["b"]["body"]["error"]["param"] == "temperature"
    assert failed["c"]["body"]["error"]["code"] == "model_not_found"
    assert failed["d"]["body"]["error"]["code"] == "unknown_parameter"
    assert set(batch_app.serving.in_background) == {True}
    assert (ended["usage"]["input_tokens"], ended["usage"]["output_tokens"]) == (5, 2)


async def test_batch_usage_belongs_to_its_creator(batch_app: BatchApp) -> None:
    """Its usage is recorded for the project and the key that created it, as a batch's."""
    made = await batch_app.create_batch([line("a"), line("b", user="u")], "other")
    async with batch_app.run_batches():
        await batch_app.wait_until_ended(made["id"], "other")
    batch_app.usage.import_ledgers()
    [found] = batch_app.usage.sum_usage(UsageQuery(by=("project", "key", "batch")))
    assert found.group == {"project": "other", "key": batch_app.issued["other"].key.id, "batch": "yes"}
    assert (found.requests, found.prompt_tokens, found.completion_tokens) == (2, 10, 4)
    assert [each.group["user"] for each in batch_app.usage.sum_usage(UsageQuery(by=("user",), is_batch=True))] == [
        "",
        "u",
    ]


async def test_a_key_opens_to_its_batches_what_it_opens(tmp_path: Path) -> None:
    """A model that the key may not use is a 403 in the error file; the lines of a revoked key are 401."""
    batch_app = BatchApp(tmp_path, models=("tiny",))
    made = await batch_app.create_batch([line("a"), line("b", model="org/other")])
    async with batch_app.run_batches():
        ended = await batch_app.wait_until_ended(made["id"])
        [refused] = await batch_app.lines(ended["error_file_id"])
        assert (refused["custom_id"], refused["response"]["status_code"]) == ("b", 403)
        other = await batch_app.create_batch([line("a")], "other")
        batch_app.keys.revoke(batch_app.issued["other"].key.id)
        await batch_app.key_cache.refresh()
        while not batch_app.repository.get("other", other["id"]).has_ended:
            await batch_app.ask("GET", "")
    [refused] = await batch_app.lines(batch_app.repository.get("other", other["id"]).error_file_id or "", "other")
    assert refused["response"]["status_code"] == 401
    assert refused["response"]["body"]["error"]["code"] == "invalid_api_key"


async def test_a_batch_keeps_to_its_keys_limits(tmp_path: Path) -> None:
    """Limits per minute do not apply; those per day do, and lines over them wait if waiting can help."""
    batch_app = BatchApp(tmp_path, KeyLimits(requests_per_minute=10, concurrent_requests=1, tokens_per_month=70))
    made = await batch_app.create_batch([line(str(at), max_tokens=1) for at in range(30)])
    async with batch_app.run_batches():
        ended = await batch_app.wait_until_ended(made["id"])
    counts = ended["request_counts"]
    assert counts["completed"] + counts["failed"] == 30
    assert 10 <= counts["completed"] < 30
    failed = await batch_app.lines(ended["error_file_id"])
    assert {each["response"]["body"]["error"]["code"] for each in failed} == {"insufficient_quota"}


async def test_output_files_expire_as_requested(batch_app: BatchApp) -> None:
    """Output files are stored for the requested time, or until they are deleted."""
    expiry = {"anchor": "created_at", "seconds": 3600}
    lines = [line("a"), line("b", temperature=9)]
    short, long = await batch_app.create_batch(lines, output_expires_after=expiry), await batch_app.create_batch(lines)
    async with batch_app.run_batches():
        for made, kept_s in ((short, 3600), (long, None)):
            ended = await batch_app.wait_until_ended(made["id"])
            for name in ("output_file_id", "error_file_id"):
                file = batch_app.files.get("one", ended[name])
                assert file.purpose == "batch_output"
                assert (None if file.expires_at is None else file.expires_at - file.created_at) == kept_s
                with pytest.raises(NotFound):
                    batch_app.files.get("other", file.id)


async def test_a_batch_is_cancelled(batch_app: BatchApp) -> None:
    """A cancelled batch ends soon, and cannot be cancelled after its end."""
    made = await batch_app.create_batch([line("a")])
    cancelling = (await batch_app.ask("POST", f"/{made['id']}/cancel")).json
    assert cancelling["status"] == "cancelling"
    assert cancelling["cancelling_at"] is not None
    async with batch_app.run_batches():
        ended = await batch_app.wait_until_ended(made["id"])
    assert (ended["status"], ended["output_file_id"]) == ("cancelled", None)
    response = await batch_app.ask("POST", f"/{made['id']}/cancel")
    assert (response.status, response.error["code"]) == (400, "batch_ended")


async def test_a_failed_batch_has_its_errors(batch_app: BatchApp) -> None:
    """If no line is valid, each is named with its error."""
    made = await batch_app.create_batch([line("a"), line("b")], endpoint="/v1/edits")
    async with batch_app.run_batches():
        ended = await batch_app.wait_until_ended(made["id"])
    assert ended["status"] == "failed"
    assert ended["errors"]["object"] == "list"
    received = [(error["line"], error["code"], error["param"]) for error in ended["errors"]["data"]]
    assert received == [(1, "mismatched_url", "url"), (2, "mismatched_url", "url")]


@pytest.mark.parametrize("endpoint", ENDPOINTS)
async def test_every_batch_endpoint_accepts_json(batch_app: BatchApp, endpoint: str) -> None:
    """Each is a route of this server that accepts a JSON body: an empty one lacks a field, or its model is missing."""
    made = await batch_app.create_batch(
        [{"custom_id": "a", "method": "POST", "url": endpoint, "body": {}}], endpoint=endpoint
    )
    async with batch_app.run_batches():
        ended = await batch_app.wait_until_ended(made["id"])
    [response] = await batch_app.lines(ended["error_file_id"])
    error = response["response"]["body"]["error"]
    assert response["response"]["status_code"] == 400 or error["code"] == "model_not_found"


async def test_azures_batches_are_accepted(batch_app: BatchApp) -> None:
    """An endpoint and URLs without `/v1`, as Azure's clients write them, mean the same."""
    made = await batch_app.create_batch([{**line("a"), "url": "/completions"}, line("b")], endpoint="/completions")
    assert made["endpoint"] == "/v1/completions"
    async with batch_app.run_batches():
        ended = await batch_app.wait_until_ended(made["id"])
    assert ended["request_counts"] == {"total": 2, "completed": 2, "failed": 0}


def response_line(name: str, **body: Any) -> dict[str, Any]:
    asked = {"model": "tiny", "input": "Hi", "store": False, **body}
    return {"custom_id": name, "method": "POST", "url": "/v1/responses", "body": asked}


async def test_responses_run_in_batches(batch_app: BatchApp) -> None:
    """Their tokens are counted, also as usage of text; streams and background are refused by name."""
    lines = [response_line("a"), response_line("b", stream=True), response_line("c", background=True)]
    made = await batch_app.create_batch(lines, endpoint="/v1/responses")
    async with batch_app.run_batches():
        ended = await batch_app.wait_until_ended(made["id"])
    assert ended["request_counts"] == {"total": 3, "completed": 1, "failed": 2}
    assert (ended["usage"]["input_tokens"], ended["usage"]["output_tokens"]) == (5, 2)
    [answer] = await batch_app.lines(ended["output_file_id"])
    assert (answer["custom_id"], answer["response"]["body"]["object"]) == ("a", "response")
    failed = {each["custom_id"]: each for each in await batch_app.lines(ended["error_file_id"])}
    assert failed["b"]["error"]["message"].startswith("Line 2: Unsupported parameter: 'stream'.")
    assert failed["c"]["error"]["message"].startswith("Line 3: Unsupported parameter: 'background'.")
    batch_app.usage.import_ledgers()
    [spent] = batch_app.usage.sum_usage(UsageQuery(endpoints=KINDS[TEXT].endpoints, is_batch=True))
    assert (spent.requests, spent.prompt_tokens, spent.completion_tokens) == (1, 5, 2)


async def test_responses_are_limited_to_the_keys_models(tmp_path: Path) -> None:
    """A response of a model that the key may not use is a 403."""
    batch_app = BatchApp(tmp_path, models=("org/other",))
    made = await batch_app.create_batch([response_line("a")], endpoint="/v1/responses")
    async with batch_app.run_batches():
        ended = await batch_app.wait_until_ended(made["id"])
    [refused] = await batch_app.lines(ended["error_file_id"])
    assert refused["response"]["status_code"] == 403


async def test_batches_require_a_database(batch_app: BatchApp) -> None:
    """Without a database, batches are unavailable."""
    object.__setattr__(batch_app.app.state.services, "batches", None)
    assert (await batch_app.ask("GET", "")).status == 503
