"""Models managed over HTTP on a real server: pulled from a fake hub, interrupted, resumed, used and deleted."""

import http.client
import json
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.models.fakes import REPO, FakeHub
from tests.system.server import ServerProcess, running

ADMIN = "the-operators-own-key"
ROOT = "/admin/v1/models"
INSTALLED, PULLED = "smollm2-135m", "tiny-q4_k_m"


@pytest.fixture
def hub(smollm2: Path) -> Iterator[FakeHub]:
    """A hub that has the weights of a real model under another name."""
    with FakeHub() as started:
        started.files = {"Tiny-Q4_K_M.gguf": smollm2.read_bytes()}
        yield started


@pytest.fixture
def home(tmp_path: Path, smollm2: Path) -> Path:
    """A home of its own with one installed model."""
    folder = tmp_path / "home"
    (folder / "models").mkdir(parents=True)
    (folder / "models" / INSTALLED).symlink_to(smollm2.parent)
    return folder


def ask(server: ServerProcess, method: str, path: str, body: object = None) -> Any:
    """Send an operator's request; return the body of the answer, which is no error."""
    answer = server.call(method, f"{ROOT}{path}", body, {"Authorization": f"Bearer {ADMIN}"})
    assert answer.status == 200, answer.body
    return answer.json()


def follow(server: ServerProcess, job_id: str) -> list[Any]:
    """Read a job's events to the end of the stream."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request("GET", f"{ROOT}/pulls/{job_id}/events", headers={"Authorization": f"Bearer {ADMIN}"})
    lines = connection.getresponse().read().decode().splitlines()
    connection.close()
    assert lines[-2] == "data: [DONE]"
    return [json.loads(line.removeprefix("data: ")) for line in lines[:-2] if line.startswith("data: ")]


def test_a_model_is_pulled_interrupted_resumed_used_and_deleted(hub: FakeHub, home: Path, tmp_path: Path) -> None:
    """A pull that a kill interrupts is resumed by the next server, which serves the model at once and deletes it."""
    flags = ("--home", str(home), "--model", INSTALLED, "--no-offline")
    hub.stalls = threading.Event()
    with running(tmp_path / "log", *flags, ADMIN_KEY=ADMIN, HF_ENDPOINT=hub.url) as server:
        job = ask(server, "POST", "/pulls", {"reference": f"hf:{REPO}"})
        path = f"/pulls/{job['id']}"
        server.wait("half is there", lambda: ask(server, "GET", path)["done_bytes"] > 1_000_000)
        children = server.workers()
        os.kill(server.pid, signal.SIGKILL)
        assert not psutil.wait_procs(children, 20)[1]
    hub.stalls.set()
    hub.stalls = None
    with running(tmp_path / "log", *flags, ADMIN_KEY=ADMIN, HF_ENDPOINT=hub.url) as server:
        [listed] = ask(server, "GET", "/pulls")["data"]
        assert (listed["id"], listed["status"]) == (job["id"], "interrupted")
        assert ask(server, "POST", f"{path}/resume")["status"] == "running"
        last = follow(server, job["id"])[-1]
        assert (last["status"], last["model"], last["done_bytes"]) == ("completed", PULLED, last["total_bytes"])
        assert hub.gets("resolve")[-1]["range"].startswith("bytes=")
        wish = {"model": PULLED, "prompt": "Once upon a time", "max_tokens": 4}
        assert server.call("POST", "/v1/completions", wish).status == 200
        assert ask(server, "GET", f"/{PULLED}")["loaded"] is True
        ask(server, "PUT", "/aliases/mine", {"target": PULLED})
        assert server.call("POST", "/v1/completions", {**wish, "model": "mine"}).status == 200
        assert ask(server, "POST", f"/{PULLED}/unload")["loaded"] is False
        assert ask(server, "POST", "/mine/load")["loaded"] is True
        assert ask(server, "DELETE", f"/{PULLED}")["freed_bytes"] == last["total_bytes"]
        assert server.call("POST", "/v1/completions", wish).status == 404
        assert len(server.workers()) == 1
