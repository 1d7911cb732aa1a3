"""Commands with a real server and real weights: start, find, list, unload, end."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from homeport.client import http_client, runfile
from homeport.domain.errors import Unavailable

MODEL = "smollm2-135m"


@pytest.fixture
def home(tmp_path: Path, smollm2: Path) -> Path:
    """A home with its own run file and the installed models."""
    (tmp_path / "models").symlink_to(smollm2.parent.parent)
    return tmp_path


@contextmanager
def serving(home: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "homeport", "serve", "--port", "0", "--home", str(home), "--model", MODEL]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def announced(process: subprocess.Popen[str]) -> list[str]:
    """The lines that the server prints, up to the kernels."""
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line.strip())
        if line.startswith("  kernels"):
            break
    return lines


def test_server_announces_itself_and_is_managed(home: Path) -> None:
    """`serve` prints what a client needs; `ps` and `stop` manage it; SIGTERM ends it and removes its run file."""
    with serving(home) as process:
        lines = announced(process)
        running = runfile.find(home, pid=process.pid)
        assert running is not None
        assert f"export OPENAI_BASE_URL={running.url}/v1" in lines
        assert any(line.startswith("models") and MODEL in line for line in lines)
        assert f"page     {running.url}  (signed in: homeport open)" in lines
        assert [(worker.model, worker.window > 0) for worker in http_client.list_workers(running)] == [(MODEL, True)]
        http_client.stop(running, MODEL)
        assert http_client.list_workers(running) == ()
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert list((home / "run").glob("*.json")) == []


def test_chat_starts_a_server(home: Path) -> None:
    """If no server runs, `run` starts one, which answers and ends with it."""
    flags = ["--home", str(home), "--model", MODEL]
    with http_client.connect_or_start(home, port=None, flags=flags) as running:
        fields = {"model": MODEL, "messages": [{"role": "user", "content": "Say hello."}]}
        with closing(http_client.chat(running, running.token, fields)) as deltas:
            assert next(delta for delta in deltas if (delta.get("content") or "").strip())
        assert running.pid != os.getpid()
    assert not running.is_alive


def test_terminated_chat_leaves_no_server(home: Path) -> None:
    """SIGTERM to a chat also ends the server that it started."""
    command = [sys.executable, "-m", "homeport", "run", "--home", str(home), MODEL]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("Say hello.\n")
        process.stdin.flush()
        assert process.stdout.read(1)
        running = runfile.find(home)
        assert running is not None
        process.terminate()
        assert process.wait(60) == 128 + signal.SIGTERM
    assert not running.is_alive


def test_a_server_that_does_not_start_is_an_error(home: Path) -> None:
    """The error contains the output of the server."""
    with (
        pytest.raises(Unavailable, match=r"did not start: .*'abc' is not a whole number"),
        http_client.connect_or_start(home, port=None, flags=["--home", str(home), "--slots", "abc"]),
    ):
        pass
