"""`python -m bench.response_events`: CPU time of an event of a streamed response against that of a chat's chunk.

Two rows have the writers alone, in this process, on the same events: with padded deltas and with plain ones. One has
the whole gateway, with the scripted engine. Both kinds of stream alternate in rounds. Prints a table and, with --log,
appends it to bench/LOG.md.
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


def gateway(plan: Plan) -> Row:
    """Measure the gateway's CPU time per event of a response's stream against a chat's, as clients ask by default."""
    requests = 1 if plan.quick else 5
    chats, responses = [], []
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "models").symlink_to(plan.home / "models")
        settings = {"HOME": folder, "API_KEYS": "bench"}
        with servers.homeport(plan.model, settings, ("-m", "bench.scripted", "serve")) as side:
            _gateway_us(side, *_RESPONSE, 1)
            _gateway_us(side, *_CHAT, 1)
            for _ in range(plan.rounds):
                chats.append(_gateway_us(side, *_CHAT, requests))
                responses.append(_gateway_us(side, *_RESPONSE, requests))
    return _row("gateway, not stored", chats, responses)


def _row(what: str, chats: list[float], responses: list[float]) -> Row:
    ratio = run_stats.median([mine / chat for mine, chat in zip(responses, chats, strict=True)])
    note = (
        f"{DELTAS} deltas a stream, opening and end included: {run_stats.median(responses):.2f} µs an event, "
        f"{run_stats.median(chats):.2f} µs a chunk"
    )
    work = f"CPU of a streamed response's event, times a chat chunk's: {what}"
    return Row(work, "–", "×", ratio, None, _LIMIT, at_most=True, note=note)


def _gateway_us(side: Served, path: str, fields: Mapping[str, Any], requests: int) -> float:
    """Read streams one after the other; return the gateway's CPU time per delta, in microseconds."""
    to = side.address
    body = json.dumps({"model": to.model, "stream": True, **fields})
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {to.key}"}
    with closing(http.client.HTTPConnection(to.host, to.port, timeout=60)) as line:
        before, deltas = side.child.main_cpu_s(), 0
        for _ in range(requests):
            line.request("POST", path, body, headers)
            answer = line.getresponse()
            content = answer.read()
            if answer.status != 200:
                raise RuntimeError(content.decode())
            deltas += content.count(b'"delta":')
        return (side.child.main_cpu_s() - before) / deltas * 1e6


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
    parser.add_argument("--quick", action="store_true", help="few streams: only to check that everything works")
    parser.add_argument("--log", action="store_true", help="append the table to bench/LOG.md")
    arguments = parser.parse_args()
    threads, streams = os.cpu_count() or 1, 5 if arguments.quick else 100
    plan = Plan("smollm2-135m", arguments.rounds, threads, load().home, say=lambda _: None, quick=arguments.quick)
    measured = [writers(arguments.rounds, streams, is_padded=is_padded) for is_padded in (True, False)]
    measured.append(gateway(plan))
    heading = machine.heading("the events of responses", threads, "xllamacpp", machine.rounds(arguments.rounds))
    lines = [f"### {heading}", "", *table.targets(measured)]
    print("\n".join(lines), flush=True)
    if arguments.log:
        log.append(lines)


if __name__ == "__main__":
    main()
