"""What an operator sees of a real server with real weights: its series, usage, keys and log."""

import csv
import io
import json
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.system.server import HttpAnswer, ServerProcess, running

MODEL = "smollm2-135m"
ADMIN = "the-operators-own-key"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, smollm2: Path) -> Iterator[ServerProcess]:
    """A server with an admin key, on a home of its own with the installed models."""
    folder = tmp_path_factory.mktemp("operations")
    (folder / "models").symlink_to(smollm2.parent.parent)
    with running(folder / "log", "--home", str(folder), "--model", MODEL, ADMIN_KEY=ADMIN) as started:
        yield started


def manage(server: ServerProcess, method: str, path: str, body: Any = None, key: str = ADMIN) -> HttpAnswer:
    return server.call(method, f"/admin/v1{path}", body, {"Authorization": f"Bearer {key}"})


def complete(server: ServerProcess, secret: str, **changes: Any) -> HttpAnswer:
    body = {"model": MODEL, "prompt": "Once upon a time", "max_tokens": 24, "temperature": 0, "ignore_eos": True}
    return server.call("POST", "/v1/completions", {**body, **changes}, {"Authorization": f"Bearer {secret}"})


def created(server: ServerProcess, name: str, **fields: Any) -> dict[str, Any]:
    response = manage(server, "POST", "/keys", {"name": name, **fields})
    assert response.status == 200, response.body
    found: dict[str, Any] = response.json()
    return found


class EventStream:
    """A stream of `/admin/v1` over a socket of its own, which is read when a test does."""

    def __init__(self, server: ServerProcess, path: str) -> None:
        self._socket = socket.create_connection(("127.0.0.1", server.port), timeout=30)
        head = f"GET /admin/v1{path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {ADMIN}\r\n\r\n"
        self._socket.sendall(head.encode())
        self._data = b""
        while b"\r\n\r\n" not in self._data:
            self._data += self._receive()
        assert self._data.startswith(b"HTTP/1.1 200"), self._data

    def _receive(self) -> bytes:
        data = self._socket.recv(65536)
        assert data, "the stream has ended"
        return data

    def wait(self, is_wanted: Callable[[Any], bool]) -> Any:
        """Read events until one is wanted; return it."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            start, _, rest = self._data.partition(b"data: ")
            line, end, after = rest.partition(b"\n\n")
            if not end:
                self._data = start + (b"data: " + rest if rest else b"") + self._receive()
                continue
            self._data = after
            if is_wanted(event := json.loads(line)):
                return event
        raise AssertionError("no such event within 30 s")

    def read_to_end(self) -> bytes:
        """Return everything that is left until the server closes the connection."""
        data = self._data
        while more := self._socket.recv(65536):
            data += more
        return data

    def close(self) -> None:
        self._socket.close()


def test_the_series_and_usage_equal_the_answers(server: ServerProcess) -> None:
    """The tokens of the series, of the usage as JSON and CSV, and of the key's day are those of the answers."""
    key = created(server, "counted", project="counted")
    events = EventStream(server, "/metrics/series/events")
    began = manage(server, "GET", "/metrics/series").json()["times"]
    usages = [complete(server, key["secret"], user=user).json()["usage"] for user in ("ann", "ann", "=1+1")]
    prompt, generated = (sum(usage[name] for usage in usages) for name in ("prompt_tokens", "completion_tokens"))
    assert generated == 72

    def grown(series: Any) -> tuple[int, int]:
        return sum(series["server"]["prompt_tokens"]), sum(series["server"]["generated_tokens"])

    after = began[-1] if began else 0.0

    def series() -> Any:
        return manage(server, "GET", f"/metrics/series?after={after}").json()

    server.wait("all tokens are in the series", lambda: grown(series()) == (prompt, generated))
    found = series()
    [model] = [each for each in found["models"] if each["model"] == MODEL]
    assert sum(n or 0 for n in model["requests_ok"]) == 3
    assert any(0 < (each or 0) < 10 for each in model["first_token_p95_s"])
    assert any(0 < (each or 0) < 10 for each in model["token_interval_p50_s"])
    assert model["memory_bytes"][-1] > 50_000_000
    assert model["cells"][-1] > 0
    assert found["server"]["gateway_bytes"][-1] > 20_000_000
    assert found["server"]["machine_bytes"][-1] > found["server"]["machine_used_bytes"][-1] > 20_000_000
    assert sum(found["server"]["responses_2xx"]) >= 3
    assert events.wait(lambda event: event["server"]["generated_tokens"] > 0)["time"] in found["times"]
    events.close()

    query = "/usage?projects=counted&group_by=user&group_by=model&bucket=1d"
    rows = manage(server, "GET", query).json()["data"]
    assert [(row["user"], row["model"], row["requests"]) for row in rows] == [("=1+1", MODEL, 1), ("ann", MODEL, 2)]
    assert sum(row["prompt_tokens"] for row in rows) == prompt
    assert sum(row["completion_tokens"] for row in rows) == generated
    table = list(csv.DictReader(io.StringIO(manage(server, "GET", f"{query}&format=csv").body.decode())))
    assert [row["user"] for row in table] == ["'=1+1", "ann"]
    assert [int(row["completion_tokens"]) for row in table] == [row["completion_tokens"] for row in rows]
    today = manage(server, "GET", f"/keys/{key['id']}").json()["usage_today"]
    assert (today["requests"], today["prompt_tokens"], today["completion_tokens"]) == (3, prompt, generated)


def test_a_limit_is_set_felt_and_lifted(server: ServerProcess) -> None:
    """A key sees its own limits; one that is set over HTTP refuses the next request; revoked, the key is refused."""
    key = created(server, "limited", limits={"tokens_per_day": 10_000})
    assert complete(server, key["secret"]).status == 200
    seen = manage(server, "GET", "/self", key=key["secret"]).json()
    assert (seen["permissions"], seen["key"]["limits"]["tokens_per_day"]) == (["call"], 10_000)
    assert seen["key"]["tokens_used"]["day"] > 24
    changed = manage(server, "POST", f"/keys/{key['id']}", {"limits": {"tokens_per_day": 5}})
    assert changed.status == 200
    refused = complete(server, key["secret"])
    assert (refused.status, refused.error["code"]) == (429, "insufficient_quota")
    manage(server, "POST", f"/keys/{key['id']}", {"limits": {"tokens_per_day": None}})
    assert complete(server, key["secret"]).status == 200
    assert manage(server, "DELETE", f"/keys/{key['id']}").json()["status"] == "revoked"
    assert complete(server, key["secret"]).status == 401
    assert manage(server, "GET", "/self", key=key["secret"]).status == 401
    assert manage(server, "GET", "/logs", key=key["secret"]).status == 404


def test_the_log_arrives_with_the_lines_of_workers(server: ServerProcess) -> None:
    """Lines are in the page and in the stream; those of workers are among them, prompts and keys are not."""
    key = created(server, "logged")
    stream = EventStream(server, "/logs/events?logger=homeport.access")
    response = complete(server, key["secret"], prompt="A very unusual prompt")
    request_id = response.headers["x-request-id"]
    line = stream.wait(lambda event: request_id in event["message"])
    stream.close()
    assert (line["level"], line["logger"]) == ("info", "homeport.access")
    listed = manage(server, "GET", "/logs?limit=2000").json()["data"]
    assert line in listed
    text = json.dumps(listed)
    assert "unusual" not in text
    assert ADMIN not in text
    assert key["secret"] not in text
    loud = manage(server, "GET", "/logs?level=error").json()["data"]
    assert not [each["message"] for each in loud]
    [worker] = [each for each in server.workers() if each.ppid() == server.pid]
    worker.kill()
    server.wait(
        "the end of the worker is in the log",
        lambda: any(
            f"Worker {worker.pid}" in each["message"]
            for each in manage(server, "GET", "/logs?level=error").json()["data"]
        ),
    )
    assert complete(server, key["secret"]).status == 200


@pytest.mark.alone
def test_open_streams_end_with_the_server(tmp_path: Path, smollm2: Path) -> None:
    """A server with open streams ends at once when it is stopped, and the streams end without being cut."""
    (tmp_path / "models").symlink_to(smollm2.parent.parent)
    with running(tmp_path / "log", "--home", str(tmp_path), "--model", MODEL, ADMIN_KEY=ADMIN) as server:
        streams = [EventStream(server, path) for path in ("/metrics/series/events", "/logs/events")]
        server.child.send_signal(signal.SIGTERM)
        began = time.monotonic()
        assert server.child.wait(20) == 0
        assert time.monotonic() - began < 4
        for stream in streams:
            assert stream.read_to_end().endswith(b"0\r\n\r\n")
            stream.close()
