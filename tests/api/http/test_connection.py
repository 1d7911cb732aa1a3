"""HTTP over real sockets: unusual but honest clients are answered, one request at a time."""

import asyncio
import socket
import threading
from collections.abc import Iterator

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from homeport.api.application import build_application
from tests.api.fakes import FakeServing, answer, services
from tests.api.http.raw import LIMIT_S, connect, exchange, parsed, refusal, response, rest
from tests.api.live_server import served

BODY = b'{"model": "tiny", "prompt": "Hello"}'
TYPE = b"Content-Type: application/json\r\n"


def post(*headers: bytes, path: bytes = b"/v1/completions", body: bytes = BODY, version: bytes = b"1.1") -> bytes:
    lines = b"".join(header + b"\r\n" for header in (b"Host: localhost", *headers))
    length = b"Content-Length: %d\r\n\r\n" % len(body)
    return b"POST " + path + b" HTTP/" + version + b"\r\n" + TYPE + lines + length + body


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The whole application on fakes, behind the real HTTP server."""
    with served(build_application(services(FakeServing(lambda _: answer("Hello there"))))) as address:
        yield address


OFFERS = [
    (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"),
    (b"Upgrade: h2c", b"Connection: upgrade"),
    (b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="),
]


@pytest.mark.parametrize("offer", OFFERS)
@pytest.mark.parametrize("cut", [None, -len(BODY), 40])
def test_offers_to_upgrade_are_ignored(address: str, offer: tuple[bytes, ...], cut: int | None) -> None:
    """A client that offers HTTP/2 is answered in HTTP/1.1, and the connection stays open."""
    sent = post(*offer)
    with connect(address) as line:
        for _ in range(2):
            line.sendall(sent[:cut])
            line.sendall(sent[cut:] if cut else b"")
            status, headers, body = response(line)
            assert status == 200, body
            assert b"Hello there" in body
            assert "upgrade" not in headers


@pytest.mark.parametrize("path", [b"/v1/completions", b"/v1/chat/completions"])
def test_old_clients_get_streams_without_chunks(address: str, path: bytes) -> None:
    """An HTTP/1.0 stream has only the events, and ends with the connection."""
    wish = BODY if path == b"/v1/completions" else b'{"model": "tiny", "messages": [{"role": "user", "content": "Hi"}]}'
    sent = post(path=path, body=wish[:-1] + b', "stream": true}', version=b"1.0")
    head, _, body = exchange(address, sent).partition(b"\r\n\r\n")
    status, headers = parsed(head)
    assert status == 200
    assert "transfer-encoding" not in headers
    assert headers["connection"] == "close"
    assert all(line.startswith(b"data: ") or not line for line in body.split(b"\n"))
    assert body.endswith(b"data: [DONE]\n\n")


BARE = [("/health", 200), ("/health/live", 200), ("/health/ready", 200), ("/", 200), ("/v1/models", 403)]


@pytest.mark.parametrize(("path", "status"), BARE)
def test_probes_on_this_machine_need_no_host(address: str, path: str, status: int) -> None:
    """HTTP/1.0 has no Host header: a server without keys reports its health to loopback, and nothing else."""
    answered = exchange(address, f"GET {path} HTTP/1.0\r\n\r\n".encode())
    assert parsed(answered.partition(b"\r\n\r\n")[0])[0] == status


@pytest.mark.parametrize("streams", [False, True])
def test_clients_that_send_no_more_get_their_answer(address: str, streams: bool) -> None:
    """A client that closes its sending side after the request receives the whole response."""
    body = BODY[:-1] + b', "stream": true}' if streams else BODY
    answered = exchange(address, post(body=body), ends=True)
    assert answered.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"there" in answered
    assert answered.endswith(b"0\r\n\r\n") == streams


def test_a_half_closed_client_may_wait_long() -> None:
    """While a response takes time, the client is only probed, and its response is the same."""
    going = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.to_thread(going.wait, LIMIT_S)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    with served(app) as address, connect(address) as line:
        line.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        line.shutdown(socket.SHUT_WR)
        early = line.recv(1) + line.recv(1)  # the first bytes of any answer: somebody was looked for twice
        going.set()
        answered = early + rest(line)
        assert answered.startswith(b"HTTP/1.1 200 OK\r\n")
        assert answered.endswith(b"\r\n\r\nok")


@pytest.mark.parametrize("begins", [False, True])
@pytest.mark.parametrize("resets", [False, True])
def test_a_disconnect_cancels_the_request(begins: bool, resets: bool) -> None:
    """If a client disconnects, before the response or during it, its request is cancelled."""
    has_come, has_left = threading.Event(), threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if begins:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        has_come.set()
        watch = asyncio.create_task(_until_gone(receive))
        while begins and not watch.done():
            await send({"type": "http.response.body", "body": b"word", "more_body": True})
            await asyncio.wait([watch], timeout=0.05)
        await watch
        has_left.set()

    with served(app) as address:
        line = connect(address)
        line.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert has_come.wait(LIMIT_S)
        if resets:
            line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        line.close()
        assert has_left.wait(LIMIT_S)


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def test_an_incomplete_body_is_not_answered(address: str) -> None:
    """A body that ends with the connection is no request, and is not answered."""
    assert exchange(address, post()[:-5], ends=True) == b""


def echo(seen: list[bytes]) -> ASGIApp:
    """Answers each request with its body, and records starts and ends in `seen`."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"].encode()
        seen.append(b"begin " + path)
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message["body"], message["more_body"]
        headers = [(b"content-length", b"%d" % len(path + body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        seen.append(b"end " + path)
        await send({"type": "http.response.body", "body": path + body})

    return app


def test_requests_sent_at_once_are_answered_in_turn() -> None:
    """Pipelined requests, bodies included, are answered in their order, and each starts after the previous one."""
    seen: list[bytes] = []
    sent = b"".join(
        b"POST /%d HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc" % n
        + b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % (n + 1)
        for n in range(0, 40, 2)
    )
    with served(echo(seen)) as address, connect(address) as line:
        line.sendall(sent)
        found = b""
        while found.count(b"HTTP/1.1 200") < 40 or not found.endswith(b"/39"):
            found += line.recv(65_536)
    bodies = [part.rpartition(b"\r\n\r\n")[2] for part in found.split(b"HTTP/1.1 200 OK\r\n")[1:]]
    assert bodies == [b"/%d" % n + (b"" if n % 2 else b"abc") for n in range(40)]
    assert seen == [word + b" /%d" % n for n in range(40) for word in (b"begin", b"end")]


def test_large_bodies_arrive_whole() -> None:
    """Bodies of several megabytes are the same with a length, in chunks, and pipelined."""
    body = bytes(range(256)) * 12_000
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:5], body[5:1_000_000], body[1_000_000:]))
    head = b"POST /a HTTP/1.1\r\nHost: a\r\n"
    with served(echo([])) as address, connect(address) as line:
        for sent in (b"Content-Length: %d\r\n\r\n" % len(body) + body, b"Transfer-Encoding: chunked\r\n\r\n" + chunks):
            line.sendall(head + sent + (b"0\r\n\r\n" if b"chunked" in sent[:40] else b""))
            assert response(line)[2] == b"/a" + body


def test_what_follows_a_chunked_body_closes_the_connection(address: str) -> None:
    """A request in the same piece as the end of a chunked body is not answered, and its client can notice."""
    head = post(b"Transfer-Encoding: chunked").partition(b"Content-Length")[0]
    sent = head + b"\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY) + b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
    answered = exchange(address, sent)
    assert answered.count(b"HTTP/1.1 ") == 1
    assert parsed(answered.partition(b"\r\n\r\n")[0])[1]["connection"] == "close"


def test_a_body_is_requested_with_100_continue(address: str) -> None:
    """`Expect: 100-continue` is answered before the body is read, but not if the request is refused without it."""
    head, body = post(b"Expect: 100-continue").split(b"\r\n\r\n")
    with connect(address) as line:
        line.sendall(head + b"\r\n\r\n")
        assert line.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        line.sendall(body)
        assert response(line)[0] == 200
        line.sendall(head.replace(b"application/json", b"text/plain") + b"\r\n\r\n")
        status, headers, _ = response(line)
        assert (status, headers["connection"]) == (415, "close")
        assert line.recv(1) == b""


def test_head_is_get_without_a_body(address: str) -> None:
    """HEAD has the headers of GET and no body, so that the next response starts at the right place."""
    with connect(address) as line:
        line.sendall(
            b"HEAD /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\nGET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
        )
        found = b""
        while found.count(b"\r\n\r\n") < 2:
            found += line.recv(65_536)
    first, second = found.split(b"\r\n\r\n")[:2]
    assert int(parsed(first)[1]["content-length"]) > 0
    assert second.startswith(b"HTTP/1.1 200")


REFUSED = [
    (b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n", 400),
    (b"GET http://evil.example/v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    (b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\nX: a\r\n b\r\n\r\n", 400),
    (b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    (b"rubbish\r\n\r\n", 400),
    (post(b"Transfer-Encoding: chunked"), 400),
    (post(b"Content-Length: 5"), 400),
    (post(b"Transfer-Encoding: chunked").partition(b"Content-Length")[0] + b"\r\nnonsense\r\n", 400),
    (b"GET /" + b"a" * 9_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 414),
    (b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n" + b"A: b\r\n" * 200 + b"\r\n", 431),
    (b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\nA: " + b"b" * 40_000 + b"\r\n\r\n", 431),
]


@pytest.mark.parametrize(("sent", "status"), REFUSED, ids=lambda value: repr(value)[:60])
def test_what_is_no_request_is_refused_in_the_envelope(address: str, sent: bytes, status: int) -> None:
    """What is no valid HTTP gets its status, OpenAI's error body and the usual headers, and the connection closes."""
    found, error = refusal(exchange(address, sent))
    assert (found, error["type"]) == (status, "invalid_request_error")


def test_a_huge_header_does_not_delay_others(address: str) -> None:
    """A hundred megabytes of one header are refused after the first one, while other clients are served."""
    with connect(address) as line:
        line.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nA: ")
        try:
            for _ in range(100):
                line.sendall(b"a" * 1_000_000)
        except (ConnectionResetError, BrokenPipeError):
            pass
        assert exchange(address, b"GET /health HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 200")
