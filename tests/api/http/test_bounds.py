"""Slow clients and clients that send too much: each is disconnected, and nobody else waits."""

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from homeport.api.application import build_application
from homeport.api.http.limits import ConnectionLimits
from tests.api.fakes import services
from tests.api.http.raw import LIMIT_S, connect, exchange, refusal, response, rest
from tests.api.live_server import served

QUICK = ConnectionLimits(head_s=0.3, idle_s=0.6, body_rate=1000, body_grace_s=0.3, stall_s=0.6, linger_s=0.5)
HEALTH = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
FORM = b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The whole application, with short timeouts."""
    with served(build_application(services()), QUICK) as address:
        yield address


@contextlib.contextmanager
def dripping(line: socket.socket, drop: bytes, pause_s: float) -> Iterator[None]:
    """Send `drop` repeatedly from a thread, until the server no longer accepts it."""
    stopped = threading.Event()

    def drip() -> None:
        with contextlib.suppress(OSError):
            while not stopped.wait(pause_s):
                line.sendall(drop)

    thread = threading.Thread(target=drip)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join(LIMIT_S)


@pytest.mark.parametrize("begin", [b"G", b"GET / HTTP/1.1\r\nHost: localhost\r\n", HEALTH + b"GET /"])
def test_a_head_has_its_time(address: str, begin: bytes) -> None:
    """A head that starts and does not end is a 408, even if it arrives slowly."""
    with connect(address) as line:
        line.sendall(begin)
        if begin.startswith(HEALTH):
            assert response(line)[0] == 200
        with dripping(line, b"a", 0.05):
            status, error = refusal(rest(line))
    assert (status, error["code"]) == (408, "request_timeout")


@pytest.mark.parametrize("begin", [b"", b"\r\n\r\n", HEALTH])
def test_a_connection_that_is_not_used_is_closed(address: str, begin: bytes) -> None:
    """A connection without a request is closed after a while, without a response."""
    with connect(address) as line:
        line.sendall(begin)
        if begin == HEALTH:
            assert response(line)[0] == 200
        assert rest(line) == b""


@pytest.mark.parametrize(
    "framing", [b"Content-Length: 100000\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n"]
)
def test_a_stalled_body_is_refused(address: str, framing: bytes) -> None:
    """A body that stops, or arrives one byte at a time, is a 408."""
    with connect(address) as line:
        line.sendall(FORM + framing)
        with dripping(line, b"1\r\n \r\n" if b"chunked" in framing else b" ", 0.05):
            status, error = refusal(rest(line))
    assert (status, error["code"]) == (408, "request_timeout")


def test_chunk_extensions_are_no_body(address: str) -> None:
    """A client that sends only empty lines is as slow as one that sends nothing."""
    with connect(address) as line:
        line.sendall(FORM + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1;")
        with dripping(line, b"extension" * 100, 0.05):
            assert refusal(rest(line))[0] in (400, 408)


def test_a_slow_steady_body_is_accepted(address: str) -> None:
    """The rate decides: a body that arrives steadily may take several times the timeout of one that does not."""
    body = b'{"model": "tiny", "prompt": "' + b"a" * 3000 + b'"}'
    with connect(address) as line:
        line.sendall(FORM + b"Content-Length: %d\r\n\r\n" % len(body))
        began = time.monotonic()
        for start in range(0, len(body), 100):
            line.sendall(body[start : start + 100])
            threading.Event().wait(0.05)  # the slow line itself
        assert response(line)[0] == 200
        assert time.monotonic() - began > 4 * QUICK.body_grace_s


def test_an_unread_body_must_keep_the_rate(address: str) -> None:
    """A body that nobody reads any more must keep the same rate, and its client receives the reason."""
    with connect(address) as line:
        line.sendall(FORM.replace(b"json", b"xml") + b"Content-Length: 100000\r\n\r\n")
        assert response(line)[0] == 415
        assert rest(line) == b""


def test_a_body_is_not_late_before_it_is_requested() -> None:
    """Before the server asks for the body, no body is late."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(4 * QUICK.body_grace_s)  # a request that waits for something before it reads
        body = (await receive())["body"]
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": body})

    with served(app, QUICK) as address, connect(address) as line:
        line.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert line.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        line.sendall(b"ok")
        assert response(line)[2] == b"ok"


SIZE = 12_000_000


async def _large(_: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % SIZE)]})
    await send({"type": "http.response.body", "body": bytes(SIZE)})


def _deaf(address: str) -> socket.socket:
    """A connection on which a large response is requested and not read."""
    line = socket.socket()
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    line.settimeout(LIMIT_S)
    host, _, port = address.removeprefix("http://").partition(":")
    line.connect((host, int(port)))
    line.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    return line


def _until_cut(line: socket.socket) -> None:
    """Wait until the server closes a connection, reading nothing."""
    ended = time.monotonic() + LIMIT_S
    with contextlib.suppress(OSError):
        while time.monotonic() < ended:
            line.sendall(b"x")
            threading.Event().wait(0.05)  # between two looks, as nothing tells of a reset but writing
        raise AssertionError("it is still there")


@pytest.mark.parametrize(
    "limits", [QUICK, ConnectionLimits(unsent=SIZE)], ids=["each for too long", "all together too much"]
)
def test_unread_responses_are_dropped(limits: ConnectionLimits) -> None:
    """A client that reads nothing loses its response in time, or earlier if many together buffer too much."""
    with served(_large, limits) as address:
        lines = [_deaf(address) for _ in range(3)]
        for line in lines[: 3 if limits is QUICK else 2]:
            _until_cut(line)
        for line in lines:
            line.close()


def test_a_slow_reader_is_left_in_peace() -> None:
    """A client that reads a little from time to time receives the whole response, however long it takes."""
    with served(_large, QUICK) as address, _deaf(address) as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        began, n_taken, found = time.monotonic(), 0, b""
        while n_taken < SIZE:
            found = line.recv(300_000)
            assert found, "it was cut off"
            n_taken += len(found)
            if time.monotonic() - began < 3 * QUICK.stall_s:
                threading.Event().wait(0.03)  # the slow reader itself


def test_a_request_stalls_behind_answers_that_are_not_read() -> None:
    """Responses do not pile up: while one is not read, the following requests do not start."""
    begun: list[None] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        begun.append(None)
        await _large(scope, receive, send)

    with served(app, QUICK) as address, _deaf(address) as line:
        with contextlib.suppress(OSError):
            line.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 50)
        _until_cut(line)
        assert len(begun) <= 3


def _keeper(entered: threading.Semaphore) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        entered.release()
        if scope["path"] == "/keep":
            await receive()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    return app


def test_idle_connections_make_room() -> None:
    """At the limit of connections the longest idle ones are closed, and active ones stay."""
    entered = threading.Semaphore(0)
    with served(_keeper(entered), ConnectionLimits(connections=4)) as address, contextlib.ExitStack() as stack:
        busy = stack.enter_context(connect(address))
        busy.sendall(b"GET /keep HTTP/1.1\r\nHost: a\r\n\r\n")
        assert entered.acquire(timeout=LIMIT_S)
        idle = [stack.enter_context(connect(address)) for _ in range(3)]
        for line in idle:
            line.sendall(b"GET /")
        assert exchange(address, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").endswith(b"ok")
        assert rest(idle[0]) == b""
        busy.setblocking(False)
        with pytest.raises(BlockingIOError):
            busy.recv(1)


def test_a_full_server_refuses_connections(address: str) -> None:
    """If no connection is idle, the next one is refused with an error body."""
    entered = threading.Semaphore(0)
    application = build_application(services())

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await (_keeper(entered) if scope["path"] == "/keep" else application)(scope, receive, send)

    with served(app, ConnectionLimits(connections=1)) as address, connect(address) as busy:
        busy.sendall(b"GET /keep HTTP/1.1\r\nHost: a\r\n\r\n")
        assert entered.acquire(timeout=LIMIT_S)
        with connect(address) as line:
            status, error = refusal(rest(line))
    assert (status, error["code"]) == (503, "too_many_connections")
