"""Streams of events: headers, pings, errors within the stream, and clients that disconnect or stop reading."""

import asyncio
from collections.abc import AsyncGenerator, Callable

import msgspec
import pytest
from starlette.types import Message, Scope

from homeport.api.streaming import (
    DONE,
    PING,
    ByteStream,
    ClientDisconnected,
    EventStream,
    escape_line_ends,
    run_until_disconnect,
    sse_event,
)
from homeport.domain.errors import EngineFailed, InvalidRequest
from tests.api.asgi import call

Source = AsyncGenerator[bytes, None]
SCOPE: Scope = {"type": "http"}


def _stream(source: Source, ping_s: float = 60, stall_s: float = 60) -> EventStream:
    return EventStream(source, {"x-homeport-model": "tiny"}, ping_s=ping_s, stall_s=stall_s)


async def _stay() -> Message:
    await asyncio.Event().wait()
    raise AssertionError("this is a bug")


class Client:
    """A client: records what it receives, disconnects on demand, and may stop reading."""

    def __init__(self) -> None:
        self.got: list[Message] = []
        self.leaves = asyncio.Event()
        self.reads = asyncio.Event()
        self.reads.set()
        self.changed = asyncio.Condition()

    async def receive(self) -> Message:
        await self.leaves.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        await self.reads.wait()
        self.got.append(message)
        async with self.changed:
            self.changed.notify_all()

    async def has(self, is_so: Callable[[], bool]) -> None:
        """Wait until the received data meets a condition."""
        async with asyncio.timeout(10), self.changed:
            await self.changed.wait_for(is_so)

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.got)


async def test_a_stream_sends_headers_and_items_at_once() -> None:
    """Each item is sent at once, with SSE headers that keep proxies from buffering, and a proper end."""

    async def source() -> Source:
        yield b""
        yield sse_event(b"1") + sse_event(b"2")
        yield DONE

    said = await call(_stream(source()), "POST", "/")
    assert said.status == 200
    assert said.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert said.headers["cache-control"] == "no-cache"
    assert said.headers["x-accel-buffering"] == "no"
    assert said.headers["x-homeport-model"] == "tiny"
    assert "content-length" not in said.headers
    assert said.parts == [b"data: 1\n\ndata: 2\n\n", DONE, b""]


async def test_an_error_before_permission_is_raised() -> None:
    """Until the source returns its first item nothing is sent, so an error can have its own status."""

    async def source() -> Source:
        raise InvalidRequest("No.")
        yield b""

    client = Client()
    with pytest.raises(InvalidRequest):
        await _stream(source())(SCOPE, client.receive, client.send)
    assert client.got == []


@pytest.mark.parametrize("error", [EngineFailed("It broke.", code="engine"), RuntimeError("secret detail")])
async def test_an_error_after_the_headers_is_one_event_and_the_end(error: Exception) -> None:
    """The stream has the error and closes without `[DONE]`; an unexpected error reveals no detail."""

    async def source() -> Source:
        yield b""
        yield sse_event(b"1")
        raise error

    said = await call(_stream(source()), "POST", "/")
    first, received, end = said.body.split(b"\n\n")
    assert (first, end) == (b"data: 1", b"")
    body = msgspec.json.decode(received.removeprefix(b"data: "))
    assert body["error"]["type"] == "server_error"
    assert (body["error"]["message"] == "It broke.") == isinstance(error, EngineFailed)
    assert b"secret" not in said.body


async def test_silence_is_filled_with_comments_once_headers_are_out() -> None:
    """Pings are sent while the source is silent, between complete events, not before the headers or after the end."""
    admit, go_on = asyncio.Event(), asyncio.Event()

    async def source() -> Source:
        await admit.wait()
        yield b""
        await go_on.wait()
        yield DONE

    client = Client()
    task = asyncio.create_task(_stream(source(), ping_s=0.01)(SCOPE, client.receive, client.send))
    assert client.got == []
    admit.set()
    await client.has(lambda: client.body.count(PING) >= 3)
    assert client.got[0]["type"] == "http.response.start"
    go_on.set()
    await task
    assert client.body.endswith(DONE)
    assert client.body.removesuffix(DONE).replace(PING, b"") == b""
    assert client.got[-1] == {"type": "http.response.body", "body": b"", "more_body": False}


async def test_a_disconnect_closes_the_source_at_once() -> None:
    """The source is cancelled while it waits, and cleaned up before the call returns."""
    closed = asyncio.Event()

    async def source() -> Source:
        try:
            yield b""
            yield sse_event(b"1")
            await asyncio.Event().wait()
        finally:
            closed.set()

    client = Client()
    task = asyncio.create_task(_stream(source())(SCOPE, client.receive, client.send))
    await client.has(lambda: b"1" in client.body)
    client.leaves.set()
    with pytest.raises(ClientDisconnected):
        await task
    assert closed.is_set()


async def test_a_stalled_client_pauses_and_then_closes_the_source() -> None:
    """While a write waits, nothing more is read from the source; after the limit it is closed."""
    given = 0
    closed = asyncio.Event()

    async def source() -> Source:
        nonlocal given
        try:
            yield b""
            while True:
                given += 1
                yield sse_event(b"1")
        finally:
            closed.set()

    client = Client()
    client.reads.clear()
    stream = _stream(source(), ping_s=0.01, stall_s=0.05)
    sent_start = client.reads.set

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            sent_start()
            await client.send(message)
            client.reads.clear()
        else:
            await client.send(message)

    async with asyncio.timeout(10):
        with pytest.raises(ClientDisconnected):
            await stream(SCOPE, client.receive, send)
    assert closed.is_set()
    assert given == 1
    assert client.body == b""


async def test_the_result_of_work_is_returned() -> None:
    """The result or exception of the work is returned or raised, and the check ends."""

    async def work() -> int:
        return 5

    async def broken() -> int:
        raise InvalidRequest("No.")

    assert await run_until_disconnect(_stay, work()) == 5
    with pytest.raises(InvalidRequest):
        await run_until_disconnect(_stay, broken())


async def test_cancelling_the_caller_cancels_the_work() -> None:
    """When the server itself cancels the request, the work cleans up too."""
    begun, cleaned = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        try:
            begun.set()
            await asyncio.Event().wait()
        finally:
            cleaned.set()

    task = asyncio.create_task(run_until_disconnect(_stay, work()))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert cleaned.is_set()


def test_line_ends_of_unicode_are_escaped() -> None:
    """A document keeps its meaning and stays on one line for every way of splitting lines."""
    text = "a\u0085b\u2028c\u2029d 模型 é"
    line = escape_line_ends(msgspec.json.encode(text))
    assert len(line.decode().splitlines()) == 1
    assert msgspec.json.decode(line) == text


async def test_writes_wait_for_a_ping() -> None:
    """A ping that waits for the client is never overtaken or split by the next event or the end."""
    client, silent = Client(), asyncio.Event()
    sending: list[bytes] = []
    held = asyncio.Event()

    async def source() -> Source:
        yield b""
        await silent.wait()
        yield b"data: 1\n\n"

    async def send(message: Message) -> None:
        body = message.get("body", b"")
        sending.append(body)
        assert sending == [body], "two writers at once"
        if body == PING and not silent.is_set():
            silent.set()
            await held.wait()
        await client.send(message)
        sending.clear()

    running = asyncio.create_task(_stream(source(), ping_s=0.05)(SCOPE, client.receive, send))
    await asyncio.wait_for(silent.wait(), 10)
    for _ in range(5):
        await asyncio.sleep(0)
    assert client.body == b""
    held.set()
    await asyncio.wait_for(running, 10)
    assert client.body == PING + b"data: 1\n\n"


async def test_bytes_go_out_bare_and_an_error_cuts_them_off() -> None:
    """A stream of bytes has its own type and no pings; an error after the first bytes is raised, and no end is sent."""

    async def source() -> Source:
        yield b""
        yield b"abc"
        raise EngineFailed("It broke.")

    client = Client()
    with pytest.raises(EngineFailed):
        await ByteStream(source(), {"x-a": "b"}, "audio/mpeg", stall_s=60)(SCOPE, client.receive, client.send)
    assert (b"content-type", b"audio/mpeg") in client.got[0]["headers"]
    assert client.body == b"abc"
    assert all(message["more_body"] for message in client.got[1:])


async def test_a_disconnect_closes_a_byte_source() -> None:
    """The source of a client that disconnects is closed at once."""
    closed = asyncio.Event()

    async def source() -> Source:
        try:
            yield b"abc"
            await asyncio.Event().wait()
        finally:
            closed.set()

    client = Client()
    stream = asyncio.create_task(ByteStream(source(), {}, "audio/mpeg", stall_s=60)(SCOPE, client.receive, client.send))
    await client.has(lambda: client.body == b"abc")
    client.leaves.set()
    with pytest.raises(ClientDisconnected):
        await stream
    assert closed.is_set()
