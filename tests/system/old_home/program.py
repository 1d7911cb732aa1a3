"""Homeport from any source tree, on a home of its own: its commands, and its server over HTTP. Imports none of it."""

import http.client
import importlib.metadata
import json
import os
import platform
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LIMIT_S = 120.0
_TORCH = """import os, signal, time
from pathlib import Path

if (Path(__file__).parent / "broken").exists():
    raise ImportError("broken on purpose")
signal.signal(signal.SIGTERM, lambda *_: os._exit(75))  # how a training run reports that it was paused
time.sleep(3600)
"""


@dataclass(frozen=True)
class Program:
    """Homeport as `source` (a folder of a source tree) has it, on the home `place/home`.

    `place` also has the settings file and a stand-in for PyTorch: importing it waits, so a fine-tuning job stays under
    way; after `break_training(True)`, importing it fails, so a job ends with an error. `environment`: more variables.
    """

    source: Path
    place: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def home(self) -> Path:
        """The home folder."""
        return self.place / "home"

    def prepare(self) -> None:
        """Write the stand-in for PyTorch."""
        folder = self.place / "packages" / "torch"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "__init__.py").write_text(_TORCH, encoding="utf-8")

    def break_training(self, is_broken: bool) -> None:
        """Choose whether fine-tuning jobs fail."""
        flag = self.place / "packages" / "torch" / "broken"
        flag.touch() if is_broken else flag.unlink(missing_ok=True)

    def run(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            [sys.executable, "-m", "homeport", *arguments],
            env=self._environment(),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )

    def read(self, *arguments: str) -> str:
        """Run a command that must succeed; return its standard output."""
        done = self.run(*arguments)
        assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
        return done.stdout

    @contextmanager
    def serve(self) -> Iterator["Server"]:
        """Run a server. At the end it is killed with its children, as a power cut would end it."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        log = self.place / "log"
        with log.open("ab") as output:
            child = subprocess.Popen(
                [sys.executable, "-m", "homeport", "serve", "--port", str(port)],
                env=self._environment(),
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        server = Server(child, port, log)
        try:
            server.wait("the server is ready", lambda: server.is_ready)
            yield server
        finally:
            server.kill()

    def _environment(self) -> dict[str, str]:
        foreign = ("HOMEPORT_", "HF_", "OPENAI_", "PYTHONPATH")
        mine = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        return {
            **mine,
            "PYTHONPATH": os.pathsep.join((str(self.source / "src"), str(self.place / "packages"))),
            "HOMEPORT_HOME": str(self.home),
            "HOMEPORT_CONFIG": str(self.place / "config.yaml"),
            "HOMEPORT_PREFIX_CACHE_DIR": str(self.home / "prefixes"),
            **self.environment,
        }


@dataclass(frozen=True)
class Server:
    """A running server."""

    child: subprocess.Popen[bytes]
    port: int
    log: Path

    @property
    def is_ready(self) -> bool:
        """Whether it answers. Fails if it has ended."""
        assert self.child.poll() is None, f"the server has ended\n{self.log.read_text()[-3000:]}"
        with suppress(OSError):
            return self.call("GET", "/health/ready")[0] == 200
        return False

    def call(self, method: str, path: str, body: Any = None, key: str = "") -> tuple[int, bytes]:
        """Send one request; return the status and the body of the answer. `body`: JSON, or a `Form`."""
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        if isinstance(body, Form):
            headers["Content-Type"] = f"multipart/form-data; boundary={body.boundary}"
            data: bytes | None = body.data
        else:
            headers["Content-Type"] = "application/json"
            data = None if body is None else json.dumps(body).encode()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LIMIT_S)
        try:
            connection.request(method, path, data, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def ask(self, method: str, path: str, body: Any = None, key: str = "") -> Any:
        """Send one request that must succeed; return the JSON of its answer."""
        status, answer = self.call(method, path, body, key)
        assert status == 200, f"{method} {path}: {status} {answer.decode(errors='replace')}"
        return json.loads(answer)

    def wait(self, what: str, is_so: Callable[[], object], limit_s: float = 60.0) -> None:
        """Wait until a condition holds. Fails with `what` otherwise."""
        end = time.monotonic() + limit_s
        while not is_so():
            assert time.monotonic() < end, f"not within {limit_s} s: {what}\n{self.log.read_text()[-3000:]}"
            time.sleep(0.02)  # a poll: another process offers no event to wait on

    def kill(self) -> None:
        """End it and its children at once."""
        with suppress(ProcessLookupError):
            os.killpg(self.child.pid, signal.SIGKILL)
        self.child.wait()


class Form:
    """A multipart form of text fields and one file."""

    def __init__(self, fields: Mapping[str, str], file: tuple[str, str, bytes]) -> None:
        self.boundary = secrets.token_hex(16)
        field_name, file_name, content = file
        parts = [f'Content-Disposition: form-data; name="{name}"\r\n\r\n{text}' for name, text in fields.items()]
        head = f'Content-Disposition: form-data; name="{field_name}"; filename="{file_name}"\r\n\r\n'
        raw = [*(part.encode() for part in parts), head.encode() + content]
        start = f"--{self.boundary}\r\n".encode()
        self.data = b"".join(start + part + b"\r\n" for part in raw) + f"--{self.boundary}--\r\n".encode()


def machine() -> str:
    """What answers of models with real weights depend on."""
    return f"{platform.system()} {platform.machine()}, kernels {importlib.metadata.version('xllamacpp')}"
