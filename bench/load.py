"""The load generator: sends a workload over HTTP as streams and times what comes back.

Knows nothing of which server answers. One asyncio task and one connection per request; parsing is line by line
and cheap, and the generator's own CPU use is reported so that a run it limited can be seen.
"""

import asyncio
import json
import statistics
import time
from collections.abc import AsyncIterator

import msgspec

from bench.workload import Workload


class Outcome(msgspec.Struct):
    """One run: seconds and tokens. `error` counts requests that did not end with all their tokens."""

    wall_s: float
    output_tokens: int
    errors: int
    ttft_s: list[float]
    gaps_s: list[float]
    client_cpu_s: float

    @property
    def tokens_per_s(self) -> float:
        """Output tokens of the whole run over its wall time."""
        return self.output_tokens / self.wall_s

    def quantile(self, of: list[float], q: float) -> float:
        """The q-th quantile in seconds; nan without samples."""
        if not of:
            return float("nan")
        if len(of) == 1:
            return of[0]
        return statistics.quantiles(of, n=100, method="inclusive")[round(q * 100) - 1]

    @property
    def ttft_p50_s(self) -> float:
        """Median time from sending to the first token."""
        return self.quantile(self.ttft_s, 0.5)


class _Request(msgspec.Struct):
    body: bytes
    first_s: float | None = None
    gaps_s: list[float] = []
    tokens: int = 0
    failed: bool = False


async def _lines(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while line := await reader.readline():
        yield line.strip()


async def _send(host: str, port: int, request: _Request) -> None:
    start = time.perf_counter()
    reader, writer = await asyncio.open_connection(host, port, limit=1 << 22)
    head = (
        f"POST /v1/completions HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer bench\r\nConnection: close\r\nContent-Length: {len(request.body)}\r\n\r\n"
    )
    writer.write(head.encode() + request.body)
    last: float | None = None
    try:
        async for line in _lines(reader):
            if not line.startswith(b"data: ") or line == b"data: [DONE]":
                continue
            now = time.perf_counter()
            chunk = json.loads(line[6:])
            if usage := chunk.get("usage"):
                request.tokens = max(request.tokens, usage["completion_tokens"])
            if not chunk.get("choices"):
                continue
            if last is None:
                request.first_s = now - start
            else:
                request.gaps_s.append(now - last)
            last = now
    except OSError:
        request.failed = True
    finally:
        writer.close()


async def run(host: str, port: int, model: str, work: Workload, seed: int) -> Outcome:
    """Send all requests of `work` at once and wait for the last. Times are seconds of this process's clock."""
    bodies = [
        {
            "model": model,
            "prompt": prompt,
            "max_tokens": work.output_tokens,
            "temperature": 0,
            "n": work.n,
            "stream": True,
            "stream_options": {"include_usage": True},
            "ignore_eos": True,
        }
        for prompt in work.prompts(seed)
    ]
    requests = [_Request(json.dumps(body).encode(), gaps_s=[]) for body in bodies]
    cpu, start = time.process_time(), time.perf_counter()
    await asyncio.gather(*(_send(host, port, request) for request in requests))
    wall_s = time.perf_counter() - start
    # Some servers report one choice's usage for n > 1, so a request's tokens are what was asked of it unless it failed.
    whole = [r for r in requests if not r.failed and r.tokens >= work.output_tokens]
    return Outcome(
        wall_s=wall_s,
        output_tokens=len(whole) * work.n * work.output_tokens,
        errors=len(requests) - len(whole),
        ttft_s=[r.first_s for r in whole if r.first_s is not None],
        gaps_s=[gap for r in whole for gap in r.gaps_s],
        client_cpu_s=time.process_time() - cpu,
    )
