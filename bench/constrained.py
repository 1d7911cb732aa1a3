"""The rows on constrained decoding: a schema, and tools that are not called, against free text on our own server.

`python -m bench.constrained` also measures the gaps of other streams while requests with new schemas arrive, and the
steps of a forced call. A round sends every load once; the order is reversed every other round.
"""

import argparse
import asyncio
import json
import os
import re
import sys
import time
import urllib.request
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from bench import (
    agent_texts,
    chat,
    log,
    machine,
    run_stats,
    servers,
    table,
)
from bench.chat import ChatReply
from bench.load import Address
from bench.plan import Plan
from bench.row import Row
from homeport import settings

STREAMS, TOKENS = (1, 16), 96
BESIDE_STREAMS, BESIDE_TOKENS, ARRIVALS = 15, 400, 24
FREE, SCHEMA, PADDED, TOOLS = "free", "a schema of strings", "free, prompt as long", "tools, not called"
_PAIRS = {SCHEMA: FREE, TOOLS: PADDED}
_SHARE_OF_FREE, _MOST_GAP, _MOST_STEPS = 0.95, 1.05, 12
_TOOLS = 4
_SETTLED_S = 2.5
"""After this time `/metrics` shows the steps of all that was answered: a worker reports every second."""

Body = dict[str, Any]
Found = dict[tuple[str, int], list[float]]


def body(kind: str, seed: str, tokens: int = TOKENS) -> Body:
    """A request of `kind` that generates exactly `tokens`; its prompt is new for each seed."""
    task = f"Story {seed}. Write a long story about a lighthouse keeper, with many short sentences."
    made: Body = {"max_tokens": tokens, "temperature": 0, "ignore_eos": True}
    messages = [{"role": "user", "content": task}]
    if kind == SCHEMA:  # as long as the answer may become, so that it ends by length as free text does
        made["response_format"] = response_format(tokens)
    if kind == TOOLS:
        made["tools"] = agent_texts.tools()[:_TOOLS]
    if kind == PADDED:
        described = "\n".join(json.dumps(tool) for tool in agent_texts.tools()[:_TOOLS])
        messages.insert(0, {"role": "system", "content": described})
    return {"messages": messages, **made}


def response_format(sentences: int, title: str = "story") -> Body:
    """An object with a list of at least so many strings. Another title makes it another schema."""
    items = {"type": "array", "items": {"type": "string"}, "minItems": sentences}
    schema = {
        "type": "object",
        "properties": {title: items},
        "required": [title],
        "additionalProperties": False,
    }
    return {"type": "json_schema", "json_schema": {"name": title, "schema": schema}}


async def _together(to: Address, bodies: Sequence[Body]) -> list[ChatReply]:
    replies = await asyncio.gather(*(chat.send(to, each) for each in bodies))
    for reply in replies:
        if reply.failure:
            raise RuntimeError(reply.failure)
    return list(replies)


def decode_speed(replies: Sequence[ChatReply]) -> float:
    """Tokens per second of all streams, from the first piece of any to the last of any."""
    tokens = sum(max(0, reply.completion_tokens - 1) for reply in replies)
    begin, end = min(reply.stamps[0] for reply in replies), max(reply.stamps[-1] for reply in replies)
    return tokens / (end - begin) if end > begin else float("nan")


def speeds(plan: Plan, to: Address, seed: str) -> Found:
    """Decode speed of every kind and number of streams, for each round."""
    found: Found = {}
    for turn in range(plan.rounds):
        for count in STREAMS:
            kinds = (FREE, SCHEMA, PADDED, TOOLS)
            for kind in kinds if turn % 2 == 0 else reversed(kinds):
                bodies = [body(kind, f"{seed}-{turn}-{count}-{stream}") for stream in range(count)]
                replies = asyncio.run(_together(to, bodies))
                found.setdefault((kind, count), []).append(decode_speed(replies))
                ends = ", ".join(sorted({reply.finish for reply in replies}))
                plan.say(f"{plan.model}, {count} of {kind}: {found[kind, count][-1]:.1f} tokens/s, ended by {ends}")
    return found


def speed_rows(model: str, found: Found) -> list[Row]:
    """Compare constrained with free decoding."""
    made = []
    for count in STREAMS:
        for kind, base in _PAIRS.items():
            ours, free = (run_stats.median(found[each, count]) for each in (kind, base))
            name = f"{model}, {count} stream{'s' if count > 1 else ''}: {kind}"
            made.append(Row(name, base, "tok/s", ours, free, _SHARE_OF_FREE))
    return made


async def _beside(to: Address, seed: str, *, is_constrained: bool) -> list[float]:
    """The gaps of running streams, in seconds, while other requests arrive one after the other."""
    running = [ChatReply() for _ in range(BESIDE_STREAMS)]
    bodies = [body(FREE, f"{seed}-{stream}", BESIDE_TOKENS) for stream in range(BESIDE_STREAMS)]
    task = asyncio.gather(*(chat.send(to, *each) for each in zip(bodies, running, strict=True)))
    while not task.done() and not all(len(reply.stamps) > 1 for reply in running):
        await chat.send(to, body(FREE, f"{seed}-first", 2))
    begin = time.perf_counter()
    for arrival in range(ARRIVALS):
        late = body(FREE, f"{seed}-late-{arrival}", 8)
        if is_constrained:
            late["response_format"] = response_format(8, f"story_{seed}_{arrival}")
        reply = await chat.send(to, late)
        if reply.failure:
            raise RuntimeError(reply.failure)
        if task.done():
            break
    end = time.perf_counter()
    await task
    return [
        after - before
        for reply in running
        for before, after in pairwise(reply.stamps)
        if begin < after <= min(end, reply.stamps[-1])
    ]


def gap_row(plan: Plan, to: Address, seed: str) -> Row:
    """Compare the gaps beside constrained requests with those beside the same free ones."""
    found: Mapping[bool, list[float]] = {True: [], False: []}
    for turn in range(plan.rounds):
        for is_constrained in (False, True) if turn % 2 == 0 else (True, False):
            gaps = asyncio.run(_beside(to, f"{seed}-{turn}-{is_constrained}", is_constrained=is_constrained))
            found[is_constrained].append(run_stats.quantile(gaps, 0.99))
            plan.say(
                f"{plan.model}, gap p99 beside {'new schemas' if is_constrained else 'free requests'}: "
                f"{found[is_constrained][-1] * 1e3:.1f} ms of {len(gaps)}"
            )
    ours, free = (run_stats.median(found[each]) * 1e3 for each in (True, False))
    name = f"{plan.model}, {BESIDE_STREAMS} streams while requests with new schemas arrive: gap p99"
    return Row(name, "the same requests without", "ms", ours, free, _MOST_GAP, at_most=True)


def steps(to: Address) -> float:
    """The steps of the model's engine up to now, by `/metrics`."""
    time.sleep(_SETTLED_S)
    request = urllib.request.Request(
        f"http://{to.host}:{to.port}/metrics", headers={"Authorization": f"Bearer {to.key}"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - an http address on loopback
        shown = answer.read().decode()
    found = re.search(rf'^homeport:engine_steps_total{{model_name="{re.escape(to.model)}"}} (\S+)$', shown, re.M)
    if found is None:
        raise RuntimeError("/metrics shows no steps of the engine")
    return float(found[1])


def forced_call_row(plan: Plan, to: Address, seed: str) -> Row:
    """The steps of a call that must be made, without that of its prompt, whose text was seen before."""
    forced: Body = {
        "messages": [{"role": "user", "content": f"Case {seed}. Look at order 4711 of region south, which is open."}],
        "tools": agent_texts.tools()[:1],
        "tool_choice": {"type": "function", "function": {"name": agent_texts.tools()[0]["function"]["name"]}},
        "temperature": 0,
        "max_tokens": 64,
    }
    asyncio.run(_together(to, [forced]))
    before = steps(to)
    (reply,) = asyncio.run(_together(to, [forced]))
    passes = steps(to) - before
    wrote = reply.calls[0].arguments if reply.calls else reply.content[:80]
    note = f"{reply.completion_tokens} tokens, `{wrote}`, the prompt's step counted"
    return Row(
        f"{plan.model}: steps of a forced call", "–", "steps", passes, None, _MOST_STEPS, at_most=True, note=note
    )


def measure(plan: Plan, seed: str) -> list[Row]:
    """Measure all rows of one model."""
    with servers.homeport(plan.model, plan.same_kernels()) as side:
        to = side.address
        asyncio.run(_together(to, [body(kind, "warm-up", 4) for kind in (FREE, SCHEMA, TOOLS)]))
        made = speed_rows(plan.model, speeds(plan, to, seed))
        return [*made, gap_row(plan, to, seed), forced_call_row(plan, to, seed)]


def main() -> None:
    """Measure these rows alone."""
    parser = argparse.ArgumentParser(prog="python -m bench.constrained", description=__doc__)
    parser.add_argument("--models", nargs="*", default=["smollm2-135m", "qwen2.5-coder-0.5b"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--log", action="store_true", help="append the table to bench/LOG.md")
    arguments = parser.parse_args()

    def say(text: str) -> None:
        print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)

    rows: list[Row] = []
    for model in arguments.models:
        plan = Plan(model, arguments.rounds, arguments.threads, settings.load().home, say)
        rows += measure(plan, f"{time.time_ns():x}")
    heading = machine.heading(", ".join(arguments.models), arguments.threads, "none", machine.rounds(arguments.rounds))
    lines = [f"### Constrained decoding · {heading}", "", *table.targets(rows)]
    print("\n".join(lines), flush=True)
    if arguments.log:
        log.append(lines)


if __name__ == "__main__":
    main()
