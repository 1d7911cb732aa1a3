"""Responses as bytes: framed by their length and the client's version, and never incomplete unnoticed."""

import asyncio

import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from homeport.api.http.transaction import Transaction
from homeport.domain.errors import TooSlow

START: Message = {"type": "http.response.start", "status": 200, "headers": []}


class FakeChannel:
    """Records what is written, and how it ended."""

    def __init__(self) -> None:
        self.sent = b""
        self.is_blocked = False
        self.is_finished = False
        self.is_aborted = False
        self.default_headers = [(b"date", b"today")]

    def write(self, data: bytes) -> None:
        """Record the bytes."""
        assert data
        self.sent += data

    async def wait_until_drained(self) -> None:
        """Do nothing: no client is slow."""

    def resume_reading(self) -> None:
        """Do nothing: reading was not paused."""

    def on_response_complete(self) -> None:
        """Record the end."""
        self.is_finished = True

    def abort(self) -> None:
        """Record the abort."""
        self.is_aborted = True


def transaction(channel: FakeChannel, version: str = "1.1", method: str = "GET") -> Transaction:
    scope = {"type": "http", "http_version": version, "method": method}
    found = Transaction(channel, scope, keeps_alive=version == "1.1")
    found.add_body(b"", more=False)
    return found


def says(*messages: Message) -> ASGIApp:
    """Return an application that sends these messages."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)

    return app


def body(data: bytes, *, more: bool = False) -> Message:
    return {"type": "http.response.body", "body": data, "more_body": more}


def start(*headers: tuple[bytes, bytes], status: int = 200) -> Message:
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


FRAMED = [
    ("1.1", "GET", start(), b"transfer-encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"),
    ("1.0", "GET", start(), b"connection: close\r\n\r\nabc"),
    ("1.1", "GET", start((b"content-length", b"3")), b"content-length: 3\r\n\r\nabc"),
    ("1.1", "HEAD", start((b"content-length", b"3")), b"content-length: 3\r\n\r\n"),
    ("1.1", "HEAD", start(), b"date: today\r\n\r\n"),
    ("1.1", "GET", start(status=204), b"date: today\r\n\r\n"),
]


@pytest.mark.parametrize(("version", "method", "first", "end"), FRAMED)
async def test_a_body_is_framed(version: str, method: str, first: Message, end: bytes) -> None:
    """A body is framed by its length if it is known, else in chunks, or in HTTP/1.0 by the end of the connection."""
    channel = FakeChannel()
    app = says(first, body(b"ab", more=True), body(b"", more=True), body(b"c"))
    await transaction(channel, version, method).run(app)
    assert channel.sent.endswith(end)
    assert (channel.is_finished, channel.is_aborted) == (True, False)


@pytest.mark.parametrize(
    "messages",
    [
        [],
        [body(b"first")],
        [start((b"x", b"a\r\nset-cookie: b"))],
        [start((b"x", b"a\nb"))],
    ],
)
async def test_who_does_not_answer_is_answered_for(messages: list[Message]) -> None:
    """If an application returns early, fails, or sends a header with a line end, the response is a 500."""
    channel = FakeChannel()
    await transaction(channel).run(says(*messages))
    assert channel.sent.startswith(b"HTTP/1.1 500 ")
    assert b'"type":"server_error"' in channel.sent
    assert (channel.is_finished, channel.is_aborted, b"set-cookie" in channel.sent) == (True, False, False)


@pytest.mark.parametrize(
    "messages",
    [
        [start()],
        [start(), body(b"a", more=True)],
        [start(), START],
        [start((b"content-length", b"3")), body(b"ab")],
        [start((b"content-length", b"3")), body(b"abcd")],
    ],
)
async def test_an_answer_that_breaks_off_cuts_the_connection(messages: list[Message]) -> None:
    """A response that starts and does not end as declared is not mistaken for a complete one."""
    channel = FakeChannel()
    await transaction(channel).run(says(*messages))
    assert (channel.is_finished, channel.is_aborted) == (False, True)
    assert not channel.sent.endswith(b"0\r\n\r\n")


async def test_bytes_sent_early_are_not_sent_twice() -> None:
    """The status line is complete once, however much of it was sent early."""
    for n_early in range(12):
        channel = FakeChannel()
        early = transaction(channel)
        assert [early.write_early() for _ in range(n_early)] == [n < 9 for n in range(n_early)]
        await early.run(says(start((b"content-length", b"1")), body(b"a")))
        assert channel.sent == b"HTTP/1.1 200 OK\r\ndate: today\r\ncontent-length: 1\r\n\r\na"
        assert not early.write_early()


async def test_a_body_that_fails_is_raised_where_it_is_read() -> None:
    """A reader of the body learns why the rest does not arrive; the connection is not used again."""
    channel = FakeChannel()
    failing = Transaction(channel, {"http_version": "1.1", "method": "POST"}, keeps_alive=True)
    reading = asyncio.ensure_future(failing.receive())
    await asyncio.sleep(0)
    failing.fail(TooSlow("Too slow."))
    with pytest.raises(TooSlow):
        await reading
    assert not failing.keeps_alive


async def test_nothing_is_sent_after_a_disconnect() -> None:
    """A disconnect is reported to the reader, and whatever is sent afterwards is discarded."""
    channel = FakeChannel()
    left = transaction(channel)
    left.disconnect()
    assert (await left.receive())["type"] == "http.disconnect"
    await left.send(start())
    assert channel.sent == b""
