"""`python -m bench.response_events`: CPU time of an event of a streamed response against that of a chat's chunk.

Two rows have the writers alone, in this process, on the same events: with padded deltas and with plain ones. Two have
the whole gateway, with the scripted engine: one stream, of whose CPU time much is that of an idle gateway, and many at
once. Both kinds of stream alternate in rounds. Prints a table and, with --log, appends it to bench/LOG.md.
"""

import argparse
import asyncio
import functools
import http.client
import json
import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

from bench import log, machine, run_stats, servers, table
from bench.plan import Plan
from bench.row import Row
from bench.servers import Served
from homeport.api.chat.render import ChatRenderer
from homeport.api.request_context import RequestContext
from homeport.api.responses.plan import ResponsePlan
from homeport.api.responses.response_object import ResponseObject
from homeport.api.responses.writer import ResponseStreamWriter
from homeport.api.text_generation.writers import TextStreamWriter
from homeport.api.writer import AnswerMetadata, Writer
from homeport.domain.events import Admitted, ChoiceFinished, TextDelta, Usage
from homeport.settings import load

DELTAS = 600
STREAMS = 32
_LIMIT = 1.5
_RESPONSE = ("/v1/responses", {"input": "Hello", "max_output_tokens": DELTAS, "store": False})
_CHAT = ("/v1/chat/completions", {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": DELTAS})
_ANSWER = AnswerMetadata(Admitted(3), 1_800_000_000, "model", "fp")
_USAGE = Usage(3, DELTAS)


def writers(rounds: int, streams: int, *, is_padded: bool) -> Row:
    """Measure how many times the CPU time of a chat's stream a response's stream takes, both of `DELTAS` deltas."""
    _cpu_us(_response, 5, is_padded=is_padded)
    _cpu_us(_chat, 5, is_padded=is_padded)
    chats, responses = [], []
    for _ in range(rounds):
        chats.append(_cpu_us(_chat, streams, is_padded=is_padded))
        responses.append(_cpu_us(_response, streams, is_padded=is_padded))
    kind = "padded" if is_padded else "plain"
    return _row(f"writers alone, {kind}", chats, responses)


def gateway(plan: Plan) -> list[Row]:
    """Measure the gateway's CPU time per event of a response's stream against a chat's, as clients ask by default."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "models").symlink_to(plan.home / "models")
        settings = {"HOME": folder, "API_KEYS": "bench", "SLOTS": str(STREAMS)}
        with servers.homeport(plan.model, settings, ("-m", "bench.scripted", "serve")) as side:
            _gateway_us(side, *_RESPONSE, 1)
            _gateway_us(side, *_CHAT, 1)
            return [_gateway_row(plan, side, streams) for streams in (1, STREAMS)]


def _gateway_row(plan: Plan, side: Served, streams: int) -> Row:
    chats, responses = [], []
    for turn in range(plan.rounds):
        plan.say(f"gateway, {streams} at once: round {turn + 1} of {plan.rounds}")
        chats.append(_gateway_us(side, *_CHAT, streams))
        responses.append(_gateway_us(side, *_RESPONSE, streams))
    return _row(f"gateway, not stored, {streams} stream{'s' if streams > 1 else ''}", chats, responses)


def _row(what: str, chats: list[float], responses: list[float]) -> Row:
    ratio = run_stats.median([mine / chat for mine, chat in zip(responses, chats, strict=True)])
    note = (
        f"{DELTAS} deltas a stream, opening and end included: {run_stats.median(responses):.2f} µs an event, "
        f"{run_stats.median(chats):.2f} µs a chunk"
    )
    work = f"CPU of a streamed response's event, times a chat chunk's: {what}"
    return Row(work, "–", "×", ratio, None, _LIMIT, at_most=True, note=note)


def _gateway_us(side: Served, path: str, fields: Mapping[str, Any], streams: int) -> float:
    """Read streams at once; return the gateway's CPU time per delta, in microseconds."""
    before = side.child.main_cpu_s()
    with ThreadPoolExecutor(streams) as pool:
        deltas = sum(pool.map(lambda _: _read_stream(side, path, fields), range(streams)))
    return (side.child.main_cpu_s() - before) / deltas * 1e6


def _read_stream(side: Served, path: str, fields: Mapping[str, Any]) -> int:
    """Read one stream to its end; return its number of deltas."""
    to = side.address
    body = json.dumps({"model": to.model, "stream": True, **fields})
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {to.key}"}
    with closing(http.client.HTTPConnection(to.host, to.port, timeout=60)) as line:
        line.request("POST", path, body, headers)
        answer = line.getresponse()
        content = answer.read()
        if answer.status != 200:
            raise RuntimeError(content.decode())
        return content.count(b'"delta":')


def _chat(*, is_padded: bool) -> Writer:
    return TextStreamWriter(
        lambda answer: ChatRenderer(answer, has_logprobs=False, has_usage=True), RequestContext(), is_padded=is_padded
    )


def _response(*, is_padded: bool) -> Writer:
    base = ResponseObject(id=f"resp_{'a' * 32}", created_at=1, model="model", text={"format": {"type": "text"}})
    return ResponseStreamWriter(ResponsePlan(base, is_streamed=True, is_padded=is_padded), RequestContext())


def _cpu_us(make: Callable[..., Writer], streams: int, *, is_padded: bool) -> float:
    """Write streams one after the other; return the CPU time per delta, in microseconds."""
    batches: Sequence[Sequence[TextDelta]] = [[TextDelta(0, f" word{at % 10}")] for at in range(DELTAS)]
    start = time.process_time()
    asyncio.run(_write(functools.partial(make, is_padded=is_padded), batches, streams))
    return (time.process_time() - start) / (streams * DELTAS) * 1e6


async def _write(make: Callable[[], Writer], batches: Sequence[Sequence[TextDelta]], streams: int) -> None:
    for _ in range(streams):
        writer = make()
        writer.on_admitted(_ANSWER)
        writer.opening()
        for batch in batches:
            writer.write(batch)
        writer.write([ChoiceFinished(0, "stop")])
        writer.usage = _USAGE
        await writer.finish()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.response_events", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--quick", action="store_true", help="one round of few streams, as a check")
    parser.add_argument("--log", action="store_true", help="append the table to bench/LOG.md")
    arguments = parser.parse_args()
    threads, streams = os.cpu_count() or 1, 5 if arguments.quick else 100
    rounds = 1 if arguments.quick else arguments.rounds
    plan = Plan("smollm2-135m", rounds, threads, load().home, say=lambda text: print(text, flush=True))
    measured = [writers(rounds, streams, is_padded=is_padded) for is_padded in (True, False)]
    measured += gateway(plan)
    heading = machine.heading("the events of responses", threads, "xllamacpp", machine.rounds(rounds))
    lines = [f"### {heading}", "", *table.targets(measured)]
    print("\n".join(lines), flush=True)
    if arguments.log:
        log.append(lines)


if __name__ == "__main__":
    main()
