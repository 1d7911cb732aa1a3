"""Headers of every response, and one line in the log."""

import logging
import re

import pytest

from homeport.api.access_policy import AccessPolicy
from homeport.api.application import build_application
from tests.api.asgi import call
from tests.api.fakes import services

ANSWERS = [
    ("GET", "/v1/models", {}, 200),
    ("GET", "/v1/models/nobody", {}, 404),
    ("GET", "/nowhere", {}, 404),
    ("POST", "/v1/models", {}, 405),
    ("GET", "/v1/models", {"host": "evil.example"}, 403),
    ("GET", "/health/live", {}, 200),
    ("GET", "/metrics", {}, 200),
]


@pytest.mark.parametrize(("method", "path", "headers", "status"), ANSWERS)
async def test_every_response_has_openais_headers(method: str, path: str, headers: dict[str, str], status: int) -> None:
    """Responses and errors have the request id, the time taken, the version and the organization."""
    response = await call(build_application(services(organization="my-home")), method, path, headers=headers)
    assert response.status == status
    assert re.fullmatch(r"req_[0-9a-f]{32}", response.headers["x-request-id"])
    assert int(response.headers["openai-processing-ms"]) >= 0
    assert response.headers["openai-version"] == "2020-10-01"
    assert response.headers["openai-organization"] == "my-home"


@pytest.mark.parametrize(("method", "path", "headers", "status"), ANSWERS)
async def test_browsers_take_no_response_for_a_script(
    method: str, path: str, headers: dict[str, str], status: int
) -> None:
    """No response is taken for another type than its own."""
    response = await call(build_application(services()), method, path, headers=headers)
    assert (response.status, response.headers["x-content-type-options"]) == (status, "nosniff")


async def test_nobody_caches_the_administration() -> None:
    """What `/admin` answers is stored by no cache, whichever header carried the key."""
    app = build_application(services(access=AccessPolicy.from_keys(admin_keys=("admin",))))
    for headers in ({"authorization": "Bearer admin"}, {"api-key": "admin"}):
        response = await call(app, "GET", "/admin/v1/workers", headers=headers)
        assert (response.status, response.headers["cache-control"]) == (200, "no-store")
    assert "cache-control" not in (await call(app, "GET", "/v1/models")).headers


async def test_request_ids_are_unique() -> None:
    """No two responses have the same id, whatever id the client sends."""
    app = build_application(services())
    given = {"x-request-id": "mine", "x-client-request-id": "mine"}
    ids = {(await call(app, "GET", "/health", headers=given)).headers["x-request-id"] for _ in range(50)}
    assert len(ids) == 50
    assert "mine" not in ids


async def test_one_line_per_request(caplog: pytest.LogCaptureFixture) -> None:
    """The log has id, route, status and time, but never the path as sent, the query or the key."""
    app = build_application(services(access=AccessPolicy.from_keys(("sk-a-long-enough-key",))))
    given = {"authorization": "Bearer sk-a-long-enough-key", "x-client-request-id": "mine-1"}
    with caplog.at_level(logging.INFO, "homeport.access"):
        response = await call(app, "GET", "/v1/models/secret-name", headers=given)
    (record,) = caplog.records
    line = record.getMessage()
    assert f"request_id={response.headers['x-request-id']} client_request_id=mine-1 method=GET" in line
    assert "path=/v1/models/{model:path} status=404 ms=" in line
    assert "secret-name" not in line
    assert "sk-" not in line


@pytest.mark.parametrize("named", ["a b", "a\x7f", "x" * 129, "é"])
async def test_odd_client_ids_stay_out_of_the_log(named: str, caplog: pytest.LogCaptureFixture) -> None:
    """A client's own request id that could forge a log line is omitted."""
    with caplog.at_level(logging.INFO, "homeport.access"):
        await call(build_application(services()), "GET", "/health", headers={"x-client-request-id": named})
    assert "client_request_id=- " in caplog.records[0].getMessage()
