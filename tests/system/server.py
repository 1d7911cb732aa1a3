"""A whole server as a child process, for tests that use it as clients do: real weights, real HTTP."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psutil

from homeport.client import http_client, runfile
from homeport.domain.kinds import KINDS, TEXT
from tests.conftest import home_folder
from tests.system.cluster import running_cluster

Tokenise = Callable[[str], list[int]]


class ServerProcess:
    """One running server. `pid` is the gateway's; its children are the workers, unless a cluster has them.

    `home`: the home folder, if it is not the default one.
    """

    def __init__(self, child: subprocess.Popen[bytes], port: int, log: Path, home: Path | None = None) -> None:
        self.child = child
        self.port = port
        self.log = log
        self._home = home or home_folder()

    @property
    def base(self) -> str:
        """The base URL for SDKs."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def pid(self) -> int:
        """The gateway's process id."""
        return self.child.pid

    def workers(self) -> list[psutil.Process]:
        """Return the worker processes that are alive now, each before its children."""
        try:
            children = psutil.Process(self.pid).children(recursive=True)
            if running_cluster():
                workers = [psutil.Process(pid) for pid in self._worker_pids()]
                children = [each for worker in workers for each in (worker, *worker.children(recursive=True))]
        except psutil.NoSuchProcess:
            return []
        return [c for c in children if c.is_running() and c.status() != psutil.STATUS_ZOMBIE]

    def _worker_pids(self) -> list[int]:
        """Ask the gateway: the nodes of a cluster are on this machine, so their process ids are too."""
        published = runfile.find(self._home, port=self.port)
        assert published is not None
        return [worker.pid for worker in http_client.list_workers(published) if worker.pid]

    def call(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> "HttpAnswer":
        """Send one plain request; an error status is an answer, not an exception."""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        fields = {"Content-Type": "application/json", "Authorization": "Bearer test", **(headers or {})}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, fields, method=method)
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310 - loopback
                return HttpAnswer(answer.status, dict(answer.headers.items()), answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return HttpAnswer(error.code, dict(error.headers.items()), error.read())

    def gauge(self, name: str) -> float:
        """Return the sum of one metric over its labels."""
        text = self.call("GET", "/metrics").body.decode()
        rows = [line for line in text.splitlines() if line.startswith((name + "{", name + " "))]
        return sum(float(row.rsplit(" ", 1)[1]) for row in rows)

    def is_idle(self) -> bool:
        """Whether no request runs or waits."""
        return self.gauge("vllm:num_requests_running") + self.gauge("vllm:num_requests_waiting") == 0

    def wait(self, what: str, until: Any, limit_s: float = 30) -> None:
        """Wait until a condition holds; fail with its name otherwise."""
        end = time.monotonic() + limit_s
        while not until():
            if time.monotonic() > end:
                raise AssertionError(f"not within {limit_s} s: {what}\n{self.log.read_text()[-3000:]}")
            time.sleep(0.02)  # a poll: another process offers no event to wait on


class HttpAnswer:
    """Status, headers and body of one answer."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status = status
        self.headers = {name.lower(): value for name, value in headers.items()}
        self.body = body

    def json(self) -> Any:
        """Decode the body."""
        return json.loads(self.body)

    @property
    def error(self) -> Any:
        """The error object in the body."""
        return self.json()["error"]


def free_port() -> int:
    """Return a port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def own_data(folder: Path) -> dict[str, str]:
    """Return the settings of a server that shares the installed models only.

    Keys that somebody has created in the default home would lock the tests out.
    """
    return {
        "HOMEPORT_DATABASE_URL": f"sqlite:///{folder}/kept/homeport.db",
        "HOMEPORT_BLOBS": f"{folder}/kept/blobs",
    }


@contextmanager
def running(
    log: Path, *flags: str, under: Sequence[str] = (), port: int | str | None = None, **settings: str
) -> Iterator[ServerProcess]:
    """Start `homeport serve` with flags and HOMEPORT_* settings; stop it at the end in any case.

    `under`: a program and its flags that run it. `port`: the port to listen on instead of a free one. With
    `pytest --cluster` it is a gateway of the cluster.
    """
    port = int(port or free_port())
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "OPENAI_"))}
    if "--home" not in flags:
        environ |= own_data(log.parent)
    environ["HOMEPORT_THREADS"] = "1"  # several become fewer on a busy machine, and results round differently
    if not {"--home", "--model", "--default-model"} & set(flags) and "HOME" not in settings:
        environ["HOMEPORT_DEFAULT_MODEL"] = KINDS[TEXT].starters[0]  # whatever `homeport use` has recorded here
    environ.update({f"HOMEPORT_{name}": value for name, value in settings.items()})
    environ |= {"HOMEPORT_OFFLINE": "1", "HOMEPORT_LAYOUT": "original"}  # independent of the layouts on this machine
    command = [*under, sys.executable, "-m", "homeport", "serve", "--port", str(port), *flags]
    with ExitStack() as stack:
        if cluster := running_cluster():
            environ |= stack.enter_context(cluster.gateway())
        with log.open("wb") as out:
            child = subprocess.Popen(command, env=environ, stdout=out, stderr=subprocess.STDOUT)
        stack.callback(_end, child)
        server = ServerProcess(child, port, log, _home(flags, settings))
        server.wait("the server is ready", lambda: _is_ready(server), 60)
        yield server


def _home(flags: Sequence[str], settings: Mapping[str, str]) -> Path | None:
    named = flags[flags.index("--home") + 1] if "--home" in flags else settings.get("HOME")
    return Path(named) if named else None


def _end(child: subprocess.Popen[bytes]) -> None:
    child.send_signal(signal.SIGTERM)
    try:
        child.wait(20)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def _is_ready(server: ServerProcess) -> bool:
    if server.child.poll() is not None:
        raise AssertionError(f"the server ended with {server.child.returncode}\n{server.log.read_text()[-3000:]}")
    try:
        return server.call("GET", "/health/ready").status == 200
    except OSError:
        return False
