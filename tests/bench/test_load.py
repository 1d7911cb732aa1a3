"""The load generator with a small server that answers like OpenAI's completions, at scripted times."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from bench.load import Address, interrupted, run
from bench.workload import Workload

Chunks = Callable[[dict[str, Any]], list[object]]


class _Server:
    """Answers each request with `chunks(body)`: JSON to send, an Event to wait for, or None to disconnect."""

    def __init__(self, chunks: Chunks, status: str = "200 OK") -> None:
        self._chunks, self._status = chunks, status
        self.bodies: list[dict[str, Any]] = []
        self.under_way = self.most = 0
        self._tasks: set[asyncio.Task[None]] = set()

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks.add(asyncio.create_task(self._answer(reader, writer)))

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._stream(reader, writer)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        size = int(head.split("Content-Length: ")[1].split("\r\n")[0])
        body = json.loads(await reader.readexactly(size))
        self.bodies.append(body)
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        writer.write(f"HTTP/1.1 {self._status}\r\nContent-Type: text/event-stream\r\n\r\n".encode())
        for chunk in self._chunks(body):
            if isinstance(chunk, asyncio.Event):
                await chunk.wait()
            elif chunk is None:
                break
            else:
                writer.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")
                await writer.drain()
                await asyncio.sleep(0)
        else:
            writer.write(b"data: [DONE]\n\n")
        self.under_way -= 1


@asynccontextmanager
async def _listening(server: _Server) -> AsyncIterator[Address]:
    listener = await asyncio.start_server(server.accept, "127.0.0.1", 0)
    async with listener:
        try:
            yield Address("127.0.0.1", listener.sockets[0].getsockname()[1], "model")
        finally:
            await server.close()


def _text(index: int, text: str, reason: str | None = None) -> dict[str, object]:
    return {"choices": [{"index": index, "text": text, "finish_reason": reason}], "usage": None}


def _whole(body: dict[str, Any]) -> list[object]:
    """Each choice's tokens in pieces of two, its end, then one choice's usage, as some servers report it."""
    pieces: list[object] = []
    for index in range(body["n"]):
        pieces += [_text(index, "ab")] * (body["max_tokens"] // 2)
        pieces.append(_text(index, "", "length"))
    return [*pieces, {"choices": [], "usage": {"completion_tokens": body["max_tokens"]}}]


async def test_a_load_is_sent_and_counted() -> None:
    """Tokens of all choices are counted, however many arrive in a piece and whatever the usage omits."""
    server = _Server(_whole)
    async with _listening(server) as address:
        result = await run(address, Workload("w", requests=3, prompt_tokens=5, output_tokens=8, n=2), turn=0)
    assert (result.errors, result.output_tokens, result.deltas) == (0, 3 * 2 * 8, 3 * 2 * 4)
    assert len(result.ttft_s) == 3
    assert len(result.gaps_s) == 3 * 2 * 7
    body = server.bodies[0]
    assert (body["model"], body["temperature"], body["n"], body["ignore_eos"]) == ("model", 0, 2, True)
    assert body["stream_options"] == {"include_usage": True}
    assert len(body["prompt"]) == 5


async def test_concurrency_is_bounded() -> None:
    """With a bound, the next request is sent when one has ended."""
    server = _Server(_whole)
    async with _listening(server) as address:
        result = await run(address, Workload("w", requests=9, prompt_tokens=5, output_tokens=8, concurrency=2), turn=0)
    assert result.errors == 0
    assert server.most <= 2


@pytest.mark.parametrize(
    ("chunks", "status"),
    [
        (_whole, "503 Service Unavailable"),
        (lambda body: [*_whole(body)[:-1], None], "200 OK"),
        (lambda body: ["not a chunk", *_whole(body)], "200 OK"),
    ],
    ids=["refused", "cut off", "nonsense"],
)
async def test_failures_are_counted_not_raised(chunks: Chunks, status: str) -> None:
    """A server that refuses, disconnects or sends nonsense yields errors and no tokens."""
    async with _listening(_Server(chunks, status)) as address:
        result = await run(address, Workload("w", requests=2, prompt_tokens=5, output_tokens=8), turn=0)
    assert (result.errors, result.output_tokens) == (2, 0)


async def test_an_interruption_is_measured_in_running_streams() -> None:
    """Gaps before and during the arrival are separate; the streams are dropped once its answer has begun."""
    arrived, resumed = asyncio.Event(), asyncio.Event()

    def chunks(body: dict[str, Any]) -> list[object]:
        if len(body["prompt"]) == 50:
            arrived.set()
            return [resumed, *_whole(body)]
        return [*[_text(0, "a")] * 4, arrived, *[_text(0, "b")] * 3, _Setting(resumed), asyncio.Event()]

    class _Setting(asyncio.Event):
        def __init__(self, other: asyncio.Event) -> None:
            super().__init__()
            self._other = other

        async def wait(self) -> bool:  # type: ignore[override]
            self._other.set()
            return True

    running = Workload("running", requests=2, prompt_tokens=5, output_tokens=100)
    async with _listening(_Server(chunks)) as address:
        late = Workload("late", requests=1, prompt_tokens=50, output_tokens=8)
        result = await interrupted(address, running, late, turn=0)
    assert result.errors == 0
    assert len(result.ttft_s) == 1
    assert result.alone_s
    assert result.beside_s
