"""The load generator: sends a workload over HTTP as streams, and measures when the text arrives.

One asyncio task and one connection per request; lines are parsed cheaply. The generator's own CPU use is reported, so
that a run limited by it is visible. As a program (`python -m bench.load http://127.0.0.1:8080 MODEL --requests 16`) it
prints the figures of any running server.
"""

import argparse
import asyncio
import contextlib
import time
import urllib.parse
from collections.abc import AsyncIterator, Callable

import msgspec

from bench.run_stats import (
    Outcome,
    Reply,
    outcome,
    quantile,
)
from bench.workload import Workload

_LINE_BYTES = 1 << 22


class Address(msgspec.Struct, frozen=True):
    """Where a server listens, and the model name and key to send."""

    host: str
    port: int
    model: str
    key: str = "bench"


class _Choice(msgspec.Struct):
    index: int = 0
    text: str = ""
    finish_reason: str | None = None


class _Usage(msgspec.Struct):
    completion_tokens: int = 0


class _Chunk(msgspec.Struct):
    choices: list[_Choice] = []
    usage: _Usage | None = None


class _Body(msgspec.Struct):
    model: str
    prompt: list[int]
    max_tokens: int
    n: int
    temperature: int = 0
    stream: bool = True
    stream_options: dict[str, bool] = msgspec.field(default_factory=lambda: {"include_usage": True})
    ignore_eos: bool = True


_decoder = msgspec.json.Decoder(_Chunk)


async def _lines(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while line := await reader.readline():
        yield line.strip()


def _record(reply: Reply, line: bytes) -> None:
    """Record one event."""
    now = time.perf_counter()
    chunk = _decoder.decode(line)
    if chunk.usage:
        reply.usage_tokens = max(reply.usage_tokens, chunk.usage.completion_tokens)
    for choice in chunk.choices:
        if choice.text:
            reply.stamps.setdefault(choice.index, []).append(now)
        if choice.finish_reason:
            reply.ends[choice.index] = choice.finish_reason


async def _send(to: Address, body: bytes, reply: Reply, noted: asyncio.Event) -> None:
    """Send one request and record its stream, setting `noted` at each event. A failure is recorded, not raised."""
    reply.sent_s = time.perf_counter()
    head = (
        f"POST /v1/completions HTTP/1.1\r\nHost: {to.host}:{to.port}\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {to.key}\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    writer: asyncio.StreamWriter | None = None
    try:
        reader, writer = await asyncio.open_connection(to.host, to.port, limit=_LINE_BYTES)
        writer.write(head.encode() + body)
        status = (await reader.readline()).split(maxsplit=2)
        if status[1:2] != [b"200"]:
            reply.failure = f"answered with {b' '.join(status).decode('latin-1').strip() or 'nothing'}"
            return
        async for line in _lines(reader):
            if line.startswith(b"data: ") and line != b"data: [DONE]":
                _record(reply, line[6:])
                noted.set()
    except (OSError, ValueError, msgspec.DecodeError) as error:
        reply.failure = str(error)
    finally:
        if writer is not None:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


def _bodies(to: Address, work: Workload, turn: int) -> list[bytes]:
    return [msgspec.json.encode(_Body(to.model, prompt, work.output_tokens, work.n)) for prompt in work.prompts(turn)]


async def _sent(to: Address, work: Workload, turn: int, replies: list[Reply], noted: asyncio.Event) -> None:
    """Send all requests at their arrival times, recording each in `replies`."""
    gate = asyncio.Semaphore(work.concurrency) if work.concurrency else contextlib.nullcontext()

    async def one(at: float, body: bytes, reply: Reply) -> None:
        await asyncio.sleep(at)
        async with gate:
            await _send(to, body, reply, noted)

    bodies, arrivals = _bodies(to, work, turn), work.arrivals(turn)
    await asyncio.gather(*(one(*each) for each in zip(arrivals, bodies, replies, strict=True)))


def _replies(work: Workload) -> list[Reply]:
    return [Reply(0.0, stamps={}, ends={}) for _ in range(work.requests)]


async def run(to: Address, work: Workload, turn: int) -> Outcome:
    """Send a load and wait for all answers."""
    replies = _replies(work)
    cpu, start = time.process_time(), time.perf_counter()
    await _sent(to, work, turn, replies, asyncio.Event())
    wall_s = time.perf_counter() - start
    return outcome(replies, n=work.n, length=work.output_tokens, wall_s=wall_s, client_cpu_s=time.process_time() - cpu)


class Interruption(msgspec.Struct):
    """The gaps, in seconds, between pieces of text of running streams while another load arrived.

    `alone_s`: gaps before it; `beside_s`: gaps from its sending to its first token; `ttft_s`: its own; `errors`: of
    both.
    """

    alone_s: list[float]
    beside_s: list[float]
    ttft_s: list[float]
    errors: int


async def interrupted(to: Address, running: Workload, arriving: Workload, turn: int) -> Interruption:
    """Start a load, send another once all its streams run, and stop when the answers of the second have start."""
    streams, newcomers, noted = _replies(running), _replies(arriving), asyncio.Event()
    task = asyncio.create_task(_sent(to, running, turn, streams, noted))
    try:
        await _until(noted, task, lambda: all(len(reply.stamps.get(0, ())) > 1 for reply in streams))
        start = time.perf_counter()
        late = asyncio.create_task(_sent(to, arriving, turn, newcomers, noted))
        await _until(noted, late, lambda: all(reply.first_s is not None for reply in newcomers))
        until = time.perf_counter()
        early = sum(1 for reply in streams if reply.ends or reply.failure)
        await late
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    return Interruption(
        alone_s=[gap for reply in streams for gap in reply.gaps_within(0.0, start)],
        beside_s=[gap for reply in streams for gap in reply.gaps_within(start, until)],
        ttft_s=[reply.first_s for reply in newcomers if reply.first_s is not None],
        errors=early + sum(1 for reply in newcomers if not reply.tokens(arriving.n, arriving.output_tokens)),
    )


async def _until(noted: asyncio.Event, task: "asyncio.Task[None]", is_reached: Callable[[], bool]) -> None:
    """Wait until a condition is_reached, checked at each event, or the task has ended."""
    while not task.done() and not is_reached():
        noted.clear()
        note = asyncio.create_task(noted.wait())
        await asyncio.wait((note, task), return_when=asyncio.FIRST_COMPLETED)
        note.cancel()


def _summary(found: Outcome) -> str:
    lines = [
        f"tokens/s         {found.tokens_per_s:.1f} ({found.output_tokens} tokens in {found.wall_s:.2f} s)",
        f"TTFT p50 / p99   {quantile(found.ttft_s, 0.5) * 1e3:.0f} / {quantile(found.ttft_s, 0.99) * 1e3:.0f} ms",
        f"gap p50 / p99    {quantile(found.gaps_s, 0.5) * 1e3:.1f} / {quantile(found.gaps_s, 0.99) * 1e3:.1f} ms",
        f"tokens per piece {found.output_tokens / max(found.deltas, 1):.2f}",
        f"errors           {found.errors}",
        f"own CPU          {found.client_cpu_s / found.wall_s:.1%} of a core",
    ]
    return "\n".join(lines)


def main() -> None:
    """Measure a running server."""
    parser = argparse.ArgumentParser(prog="bench.load", description=main.__doc__)
    parser.add_argument("url", help="such as http://127.0.0.1:8080")
    parser.add_argument("model")
    numbers = {"requests": 16, "prompt-tokens": 200, "output-tokens": 64, "shared-tokens": 0, "n": 1, "turn": 0}
    for name, default in numbers.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--concurrency", type=int, help="concurrent requests (default: all)")
    parser.add_argument(
        "--rate", type=float, help="average arrivals per second, at random times (default: all at once)"
    )
    parser.add_argument("--beside", type=int, metavar="TOKENS", help="send a prompt of this length meanwhile")
    arguments = parser.parse_args()
    url = urllib.parse.urlsplit(arguments.url)
    to = Address(url.hostname or "127.0.0.1", url.port or 80, arguments.model)
    sizes = (arguments.requests, arguments.prompt_tokens, arguments.output_tokens, arguments.shared_tokens, arguments.n)
    work = Workload(f"load {time.time_ns()}", *sizes, rate_per_s=arguments.rate, concurrency=arguments.concurrency)
    if not arguments.beside:
        print(_summary(asyncio.run(run(to, work, arguments.turn))))
        return
    late = Workload(f"{work.name} late", 1, arguments.beside, 8)
    found = asyncio.run(interrupted(to, work, late, arguments.turn))
    for name, gaps in (("alone", found.alone_s), ("beside", found.beside_s)):
        print(f"gap p50 / p99 {name}: {quantile(gaps, 0.5) * 1e3:.1f} / {quantile(gaps, 0.99) * 1e3:.1f} ms")
    print(f"the late prompt's TTFT: {quantile(found.ttft_s, 0.5) * 1e3:.0f} ms; errors: {found.errors}")


if __name__ == "__main__":
    main()
