"""What holds next to hundreds of deliberately slow clients, while others are answered as before.

Shortened in `make test`; at full length in `make soak`.
"""

import concurrent.futures
import contextlib
import json
import socket
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import openai
import psutil
import pytest

from tests.conftest import Scale
from tests.system.server import ServerProcess, running

pytestmark = [pytest.mark.soak, pytest.mark.alone]

MODEL = "smollm2-135m"
FILE_BYTES = 8_000_000
BODY = b'{"model": "smollm2-135m", "prompt": "' + b"a" * 100_000 + b'"}'
HEAD_S, STALL_S = 5.0, 5.0


@pytest.fixture(scope="module")
def impatient_server(tmp_path_factory: pytest.TempPathFactory, smollm2: Path) -> Iterator[ServerProcess]:
    """A server that waits a few seconds for slow clients, not a minute."""
    assert smollm2.exists()
    folder = tmp_path_factory.mktemp("impatient_server")
    limits = {"HEAD_S": f"{HEAD_S}", "STALL_S": f"{STALL_S}"}
    with running(folder / "log", "--model", MODEL, **limits) as started:
        yield started


def _dial(server: ServerProcess, first: bytes) -> socket.socket:
    line = socket.socket()
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    line.settimeout(60)
    line.connect(("127.0.0.1", server.port))
    line.sendall(first)
    return line


def _head(server: ServerProcess, path: str, *more: str, method: str = "POST") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{server.port}", "Content-Type: application/json", *more]
    return "\r\n".join(lines).encode()


@contextlib.contextmanager
def _dripping(lines: list[socket.socket]) -> Iterator[None]:
    """Send a byte on each connection every second, until the server stops reading."""
    stopped = threading.Event()

    def drip() -> None:
        left = list(lines)
        while not stopped.wait(1.0):
            for line in list(left):
                try:
                    line.sendall(b"a")
                except OSError:
                    left.remove(line)

    thread = threading.Thread(target=drip)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join(60)


def _status(line: socket.socket) -> int:
    """The status that a connection was ended with; 0 where it was only ended."""
    found = b""
    with contextlib.suppress(ConnectionResetError):
        while part := line.recv(65_536):
            found += part
    return int(found.split()[1]) if found else 0


def _answered(server: ServerProcess, until: Callable[[], bool]) -> list[float]:
    """Send requests as a normal client until then; return the duration of each, in seconds."""
    spent = []
    while not until():
        began = time.monotonic()
        answer = server.call("POST", "/v1/completions", {"model": MODEL, "prompt": "Once upon", "max_tokens": 4})
        assert answer.status == 200, answer.body
        spent.append(time.monotonic() - began)
    return spent


def test_slow_heads_bodies_and_readers_delay_no_other_client(impatient_server: ServerProcess, scale: Scale) -> None:
    """200 of each at once: other clients are answered as before, each slow one is ended, and the memory is released."""
    count, gateway = scale(25, 200), psutil.Process(impatient_server.pid)
    with openai.OpenAI(base_url=impatient_server.base, api_key="x", max_retries=0) as client:
        sent = client.files.create(file=("big", bytes(FILE_BYTES)), purpose="user_data")
    usual = _answered(impatient_server, _after(2))
    before = gateway.memory_info().rss
    asked = _head(impatient_server, f"/v1/files/{sent.id}/content", "", "", method="GET")
    began = _head(impatient_server, "/v1/completions", f"Content-Length: {len(BODY)}", "", "") + BODY[:1000]
    with contextlib.ExitStack() as stack:
        heads, bodies, _ = (
            [stack.enter_context(contextlib.closing(_dial(impatient_server, first))) for _ in range(count)]
            for first in (_head(impatient_server, "/v1/completions", "X-Slow: "), began, asked)
        )
        stack.enter_context(_dripping(heads + bodies))
        spent = _answered(impatient_server, _after(scale(8, 60)))
        assert [_status(line) for line in heads] == [408] * count
        assert [_status(line) for line in bodies] == [408] * count
        impatient_server.wait("readers that do not read are given up", lambda: len(gateway.net_connections()) < 10, 60)
    assert max(spent) < 10, "nobody waits long, not even while hundreds of files are opened at once"
    assert statistics.median(spent) < 3 * statistics.median(usual) + 0.2
    # Part of the memory for hundreds of readers stays allocated, outside of Python's objects; repeating adds nothing.
    allowed = before + 30_000_000 + count * 500_000
    impatient_server.wait("memory comes back", lambda: gateway.memory_info().rss < allowed, 60)


def test_large_requests_leave_no_memory_behind(impatient_server: ServerProcess, scale: Scale) -> None:
    """Bodies of many megabytes, refused only after they were read, do not keep an idle gateway large."""
    gateway = psutil.Process(impatient_server.pid)
    _answered(impatient_server, _after(1))
    before = gateway.memory_info().rss
    body = json.dumps({"model": MODEL, "messages": [{"role": "user", "content": "a"}] * 300_000, "n": "x"}).encode()
    assert 9_000_000 < len(body) < 20_000_000

    def bomb(_: int) -> int:
        return impatient_server.call("POST", "/v1/chat/completions", body).status

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert set(pool.map(bomb, range(scale(16, 100)))) == {400}
    impatient_server.wait("memory comes back", lambda: gateway.memory_info().rss < before + 30_000_000, 60)


def _after(seconds: float) -> Callable[[], bool]:
    end = time.monotonic() + seconds
    return lambda: time.monotonic() > end
