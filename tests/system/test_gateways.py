"""Three gateways as processes on one PostgreSQL, with real weights; one is killed while it holds leases and jobs."""

import json
import os
import signal
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from http.client import HTTPException
from pathlib import Path
from typing import Any

import psutil
import pytest

from homeport.store import migration
from homeport.store.database import Database
from tests.postgres_server import new_database
from tests.postgres_server import postgres as postgres
from tests.system.server import HttpAnswer, ServerProcess, running

MODEL, ADMIN = "smollm2-135m", "sk-admin-of-the-gateways"
N_LINES, N_RESPONSES = 40, 6
REVOKED_S, FREE_S = 2.0, 8.0
"""How long a revoked key may work anywhere, and how long a killed gateway's places may be taken."""


@pytest.fixture
def gateways(postgres: str, tmp_path: Path, smollm2: Path) -> Iterator[Sequence[ServerProcess]]:
    """Three gateways that share a database and files."""
    assert smollm2.exists()
    with new_database(postgres) as url, ExitStack() as stack:
        database = Database(url)
        migration.upgrade(database)
        database.close()
        common = {"DATABASE_URL": url, "BLOBS": str(tmp_path / "blobs"), "ADMIN_KEY": ADMIN, "PROMPTS": "off"}

        def start(name: str) -> ServerProcess:
            server = running(tmp_path / name, "--model", MODEL, **common)
            return stack.enter_context(server)

        yield [start(name) for name in ("one", "two", "three")]


def admin(server: ServerProcess, method: str, path: str, body: Any = None) -> HttpAnswer:
    return server.call(method, f"/admin/v1{path}", body, {"Authorization": f"Bearer {ADMIN}"})


def ask(server: ServerProcess, key: str, path: str = "/v1/completions", **body: Any) -> HttpAnswer:
    asked = {"model": MODEL, "max_tokens": 4, "prompt": "Hello"} if path == "/v1/completions" else {"model": MODEL}
    return server.call("POST", path, {**asked, **body}, {"Authorization": f"Bearer {key}"})


def get(server: ServerProcess, key: str, path: str) -> HttpAnswer:
    return server.call("GET", path, None, {"Authorization": f"Bearer {key}"})


def new_key(server: ServerProcess, name: str, **limits: int) -> tuple[str, str]:
    """Create a key; return its id and secret."""
    answer = admin(server, "POST", "/keys", {"name": name, "limits": limits})
    assert answer.status in (200, 201), answer.body
    made = answer.json()
    return made["id"], made["secret"]


def new_batch(server: ServerProcess, key: str) -> str:
    """Create a batch; return its id."""
    lines = [
        {
            "custom_id": str(at),
            "method": "POST",
            "url": "/v1/completions",
            "body": {"model": MODEL, "prompt": f"Number {at} is", "max_tokens": 24, "ignore_eos": True},
        }
        for at in range(N_LINES)
    ]
    content = "\n".join(json.dumps(line) for line in lines)
    form = (
        b'--x\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="b.jsonl"\r\n\r\n'
        + content.encode()
        + b"\r\n--x--\r\n"
    )
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "multipart/form-data; boundary=x"}
    sent = server.call("POST", "/v1/files", form, headers)
    assert sent.status == 200, sent.body
    body = {"input_file_id": sent.json()["id"], "endpoint": "/v1/completions", "completion_window": "24h"}
    batch = server.call("POST", "/v1/batches", body, {"Authorization": f"Bearer {key}"})
    assert batch.status == 200, batch.body
    return str(batch.json()["id"])


def kill(server: ServerProcess) -> None:
    """End a gateway at once, and wait until its workers have ended too."""
    workers = server.workers()
    os.kill(server.pid, signal.SIGKILL)
    server.child.wait()
    psutil.wait_procs(workers, 20)


def within(limit_s: float, until: Any) -> float:
    """Wait until a condition holds; return how long that took."""
    began = time.monotonic()
    while not until():
        assert time.monotonic() - began < limit_s
        time.sleep(0.05)  # a poll: another process offers no event to wait on
    return time.monotonic() - began


@pytest.mark.soak
def test_three_gateways_are_one_server(gateways: Sequence[ServerProcess]) -> None:
    """Keys, limits, jobs and usage are those of one server, also after `kill -9` of the gateway that runs jobs."""
    one = gateways[0]
    _, worker_key = new_key(one, "jobs")
    for server in gateways:
        within(REVOKED_S, lambda server=server: ask(server, worker_key).status == 200)

    batch = new_batch(one, worker_key)
    within(20, lambda: sum(server.gauge("homeport:batches_running") for server in gateways) == 1)
    holder = next(server for server in gateways if server.gauge("homeport:batches_running") == 1)
    others = [server for server in gateways if server is not holder]
    responses = [
        ask(holder, worker_key, "/v1/responses", input=f"Count to {at}.", background=True, max_output_tokens=16)
        for at in range(N_RESPONSES)
    ]
    assert {answer.status for answer in responses} == {200}

    limited_id, limited = new_key(one, "limited", concurrent_requests=2)
    within(REVOKED_S, lambda: ask(holder, limited).status == 200)
    with ThreadPoolExecutor(2) as threads:
        long = [threads.submit(_ask_until_killed, holder, limited) for _ in range(2)]
        try:
            within(20, lambda: ask(others[0], limited).status == 429 or any(each.done() for each in long))
        finally:
            kill(holder)
        free_s = within(FREE_S, lambda: ask(others[0], limited).status == 200)
        for each in long:
            each.result()
    assert free_s < FREE_S

    ended = ("completed", "incomplete", "failed", "expired", "cancelled")
    path = f"/v1/batches/{batch}"
    within(120, lambda: get(others[1], worker_key, path).json()["status"] in ended)
    done = get(others[1], worker_key, path).json()
    assert (done["status"], done["request_counts"]["completed"]) == ("completed", N_LINES)
    content = get(others[0], worker_key, f"/v1/files/{done['output_file_id']}/content").body.decode()
    assert sorted(int(json.loads(line)["custom_id"]) for line in content.splitlines()) == list(range(N_LINES))
    for answer in responses:
        path = f"/v1/responses/{answer.json()['id']}"
        within(60, lambda path=path: get(others[0], worker_key, path).json()["status"] in ended)

    assert admin(others[0], "DELETE", f"/keys/{limited_id}").status == 200
    within(REVOKED_S, lambda: all(ask(server, limited).status == 401 for server in others))


def _ask_until_killed(server: ServerProcess, key: str) -> None:
    with suppress(OSError, HTTPException):
        while (answer := ask(server, key, max_tokens=1900, ignore_eos=True)).status == 429:
            pass  # the test's own request had the place
        raise AssertionError(f"the request ended: {answer.status} {answer.body[:300]!r}")
