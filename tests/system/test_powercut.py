"""After a power cut at any moment, everything that was answered is there. Shortened in `make test`."""

import json
import os
import random
import shutil
import signal
import subprocess
import time
import urllib.parse
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from homeport.app.storage import Storage
from homeport.domain.usage import UsageQuery
from homeport.settings import Settings
from tests.conftest import Scale, home_folder
from tests.system.powercut import Disk, calls, recorder
from tests.system.server import ServerProcess, running

pytestmark = pytest.mark.soak

MODEL = "smollm2-135m"
PROJECT = "local"
ADMIN = {"Authorization": "Bearer admin"}
_MOMENT_S = 1.0  # more than an answer waits for its usage to be synced

Check = Callable[[Storage, Path], None]


class Client:
    """Stores things on a server, and remembers what was answered when, and how to find it."""

    def __init__(self, server: ServerProcess) -> None:
        self._server = server
        self.answered: list[tuple[float, Check]] = []
        self.completed: list[float] = []

    def _asked(self, path: str, body: Any, headers: dict[str, str] | None = None) -> Any:
        answer = self._server.call("POST", path, body, headers)
        assert answer.status == 200, answer.body
        return answer.json()

    def _form(self, path: str, fields: dict[str, str], name: str, data: bytes) -> Any:
        parts = [
            f'--x\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{text}\r\n' for key, text in fields.items()
        ]
        head = f'--x\r\nContent-Disposition: form-data; name="{name}"; filename="a.jsonl"\r\n\r\n'
        body = ("".join(parts) + head).encode() + data + b"\r\n--x--\r\n"
        return self._asked(path, body, {"Content-Type": "multipart/form-data; boundary=x"})

    def _note(self, check: Check) -> None:
        self.answered.append((time.time(), check))

    def key(self, name: str) -> None:
        """Create a key."""
        secret = self._asked("/admin/v1/keys", {"name": name}, ADMIN)["secret"]
        self._note(lambda kept, _: _holds(kept.key_cache.find(secret), "a key"))

    def file(self, data: bytes) -> str:
        """Upload a file."""
        id = str(self._form("/v1/files", {"purpose": "batch"}, "file", data)["id"])
        self._note(lambda kept, home: _has_file(kept, home, id, data))
        return id

    def upload(self, data: bytes) -> None:
        """Upload a file in two parts."""
        wish = {"purpose": "batch", "filename": "a.jsonl", "bytes": len(data), "mime_type": "application/jsonl"}
        id = self._asked("/v1/uploads", wish)["id"]
        self._note(lambda kept, _: _holds(kept.uploads.get(PROJECT, id), "an upload"))
        parts = []
        for piece in (data[: len(data) // 2], data[len(data) // 2 :]):
            part = self._form(f"/v1/uploads/{id}/parts", {}, "data", piece)["id"]
            parts.append(part)
            self._note(partial(_has_part, upload=id, part=part, data=piece))
        file = self._asked(f"/v1/uploads/{id}/complete", {"part_ids": parts})["file"]["id"]
        self._note(lambda kept, home: _has_file(kept, home, file, data))

    def batch(self, file: str) -> None:
        """Create a batch of a file's lines."""
        wish = {"input_file_id": file, "endpoint": "/v1/completions", "completion_window": "24h"}
        id = self._asked("/v1/batches", wish)["id"]
        self._note(lambda kept, _: _holds(kept.batches.get(PROJECT, id), "a batch"))

    def picture(self) -> None:
        """Generate an image at a URL."""
        wish = {"model": "homeport-emoji-128", "prompt": "a cat", "size": "256x256", "response_format": "url"}
        url = self._asked("/v1/images/generations", wish)["data"][0]["url"]
        name = urllib.parse.urlsplit(url).path.rpartition("/")[2]
        self._note(lambda _, home: _holds([*(home / "pictures").rglob(name)], "a picture"))

    def completion(self) -> None:
        """Get an answer, whose usage is recorded."""
        self._asked("/v1/completions", {"model": MODEL, "prompt": "Once", "max_tokens": 2})
        self.completed.append(time.time())


def _holds(found: object, what: str) -> None:
    assert found, what


def _has_file(kept: Storage, home: Path, id: str, data: bytes) -> None:
    assert kept.files.get(PROJECT, id).bytes == len(data)
    assert (home / "blobs" / "files" / id).read_bytes() == data


def _has_part(kept: Storage, home: Path, upload: str, part: str, data: bytes) -> None:
    if kept.uploads.get(PROJECT, upload).status == "pending":
        assert (home / "blobs" / "uploads" / upload / part).read_bytes() == data


def _lines(number: int) -> bytes:
    body = {"model": MODEL, "prompt": "Once", "max_tokens": 1}
    line = {"custom_id": str(number), "method": "POST", "url": "/v1/completions", "body": body}
    return "".join(json.dumps({**line, "custom_id": f"{number}-{n}"}) + "\n" for n in range(3)).encode()


def _can_record(tmp_path: Path) -> bool:
    command = [*recorder(tmp_path / "probe"), "true"]
    return (
        shutil.which("strace") is not None and subprocess.run(command, check=False, capture_output=True).returncode == 0
    )


def _record(tmp_path: Path, home: Path, n_rounds: int) -> tuple[Client, Path]:
    """Store things on a recorded server; kill it at the end."""
    home.mkdir()
    (home / "models").symlink_to(home_folder() / "models")
    record = tmp_path / "record"
    settings = {"API_KEYS": "test", "ADMIN_KEY": "admin"}
    flags = ("--home", str(home), "--model", MODEL)
    with running(tmp_path / "log", *flags, under=recorder(record), **settings) as server:
        client = Client(server)
        for number in range(n_rounds):
            client.key(f"key {number}")
            client.batch(client.file(_lines(number)))
            client.upload(_lines(number) * 20)
            client.completion()
        client.picture()
        client.completion()
        os.kill(server.pid, signal.SIGKILL)
        server.child.wait()
        server.wait("the record is whole", lambda: f"{server.pid} " in _tail(record) and "+++ killed" in _tail(record))
    return client, record


def _tail(record: Path) -> str:
    with record.open("rb") as file:
        file.seek(max(0, record.stat().st_size - 4000))
        return file.read().decode(errors="replace")


def _check(home: Path, client: Client, at: float) -> None:
    """Check that the home opens and has everything that was answered by then."""
    kept = Storage(Settings(home=home))
    try:
        for answered_at, check in client.answered:
            if answered_at <= at:
                check(kept, home)
        n_requests = sum(usage.requests for usage in kept.usage.sum_usage(UsageQuery()))
        assert n_requests >= sum(answered_at <= at - _MOMENT_S for answered_at in client.completed)
    finally:
        kept.close()


def test_a_power_cut_loses_nothing_that_was_answered(tmp_path: Path, smollm2: Path, scale: Scale) -> None:
    """Cut off after any answer and at moments between, a server's home opens with every key, file, part, upload, batch,
    image and usage record that was answered; what was never synced is removed.
    """
    assert smollm2.exists()
    if not _can_record(tmp_path):
        pytest.skip("strace is missing, or may not be used here")
    home = tmp_path / "home"
    client, record = _record(tmp_path, home, scale(2, 30))
    draw = random.Random(5)
    moments = [at for at, _ in client.answered]
    first, last = moments[0], client.completed[-1]
    moments = sorted([*moments, *(draw.uniform(first, last) for _ in range(scale(5, 100))), last + 60])
    disk, left = Disk(home), iter(calls(record))
    call = next(left, None)
    for number, at in enumerate(moments):
        while call is not None and call.at <= at:
            disk.play(call)
            call = next(left, None)
        target = tmp_path / f"cut-{number}"
        disk.rebuild(target)
        _check(target, client, at)
        shutil.rmtree(target)
