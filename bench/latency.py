"""The rows on latency: a repeated prompt, an edit, and streams during which a long prompt arrives."""

import asyncio
import http.client
import math
import random
import time
from contextlib import ExitStack

import msgspec

from bench import (
    load,
    rounds,
    run_stats,
    servers,
)
from bench.plan import Plan
from bench.row import Row
from bench.servers import Served
from bench.workload import Workload

REPEATED, ARRIVING = 800, 4000
RUNNING = 16
_INSTRUCTION = "Fix the spelling mistakes"
_SENTENCES = (
    "The old libary at the corner of the street was open untill late in the evening.",
    "Every child in the vilage knew the woman who kept its books in order.",
    "She had a smal desk of oak, a lamp with a green shade and a very quiet voice.",
    "In winter the windows were coverd with frost, and the stove was never cold.",
    "People came for novels, for maps of far countrys, or only to be warm.",
    "One day a letter arived from the town hall with a red seal on it.",
    "It said that the house would be sold and that the books must go elswhere.",
    "Nobody beleived it at first, as such letters had come before.",
    "But then two men with a long tape measured every room and wrote down the numbers.",
    "So the children decided to carry the books away before anyone could sell them.",
    "They formed a line from the door to the school and past them from hand to hand.",
    "By midnight the shelves were empty and the school had no room left.",
    "The next morning the two men found a note where the desk had stood.",
)


class _Usage(msgspec.Struct):
    completion_tokens: int


class _Edit(msgspec.Struct):
    usage: _Usage


def rows(plan: Plan) -> list[Row]:
    """Measure all rows. Both servers use the same kernels and file; one has speculative decoding switched off."""
    settings = plan.same_kernels()
    with ExitStack() as stack:
        ours = stack.enter_context(servers.homeport(plan.model, settings))
        plain = stack.enter_context(servers.homeport(plan.model, {**settings, "SPECULATE": "off"}))
        for side in (ours, plain):
            side.measure(Workload("warm-up", requests=1, prompt_tokens=16, output_tokens=4), turn=0)
            side.child.pause()
        return [_repeat(plan, ours), _edits(plan, ours, plain), _interrupted(plan, ours)]


def _repeat(plan: Plan, ours: Served) -> Row:
    work = plan.sized(Workload("a repeated prompt", requests=1, prompt_tokens=REPEATED, output_tokens=8))
    cold, again = [], []
    for turn in range(plan.rounds):
        plan.say(f"{work.name}: round {turn + 1} of {plan.rounds}")
        cold.append(rounds.alone(ours, work, turn))
        again.append(rounds.alone(ours, work, turn))  # the same turn is the same prompt
    name = f"repeat of a seen prompt of {work.prompt_tokens} tokens: TTFT"
    return Row(
        name, "the cold prompt", "ms", run_stats.ttft(again) * 1e3, run_stats.ttft(cold) * 1e3, 0.1, at_most=True
    )


def _edits(plan: Plan, ours: Served, plain: Served) -> Row:
    speeds: dict[str, list[float]] = {"ours": [], "plain": []}
    for turn in range(plan.rounds):
        text = document(turn, sentences=4 if plan.quick else len(_SENTENCES))
        for name, side in (("ours", ours), ("plain", plain)):
            plan.say(f"edits: round {turn + 1} of {plan.rounds}, {name}")
            side.child.resume()
            speeds[name].append(edit_speed(side, text))
            side.child.pause()
    fast, slow = (run_stats.median(speeds[name]) for name in ("ours", "plain"))
    return Row("edits of a text of 200 tokens", "the same engine without speculation", "tok/s", fast, slow, 2.0)


def document(turn: int, sentences: int) -> str:
    """A text with spelling mistakes, with its sentences in a different order each turn."""
    return " ".join(random.Random(turn).sample(_SENTENCES, sentences))


def edit_speed(side: Served, text: str) -> float:
    """Tokens per second of one edit at temperature 0; nan if it failed."""
    to = side.address
    connection = http.client.HTTPConnection(to.host, to.port, timeout=300)
    body = {"model": to.model, "input": text, "instruction": _INSTRUCTION, "temperature": 0}
    start = time.perf_counter()
    try:
        connection.request("POST", "/v1/edits", msgspec.json.encode(body), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        found = answer.read()
    finally:
        connection.close()
    if answer.status != 200:
        return math.nan
    return msgspec.json.decode(found, type=_Edit).usage.completion_tokens / (time.perf_counter() - start)


def _interrupted(plan: Plan, ours: Served) -> Row:
    running = Workload(f"{RUNNING} running", requests=RUNNING, output_tokens=600)
    arriving = plan.sized(Workload("a long prompt", requests=1, prompt_tokens=ARRIVING, output_tokens=8))
    plan.say(f"{RUNNING} streams, and a prompt of {arriving.prompt_tokens} tokens arriving")
    ours.child.resume()
    try:
        found = asyncio.run(load.interrupted(ours.address, running, arriving, turn=0))
    finally:
        ours.child.pause()
    usual, worst = (run_stats.quantile(found.beside_s, q) * 1e3 for q in (0.5, 0.99))
    note = (
        f"p50 before it {run_stats.quantile(found.alone_s, 0.5) * 1e3:.0f} ms, "
        f"its TTFT {run_stats.quantile(found.ttft_s, 0.5):.1f} s"
    )
    if found.errors:
        note += f", {found.errors} streams ended early or failed"
    name = f"{RUNNING} streams while a prompt of {arriving.prompt_tokens} tokens arrives: gap p99"
    return Row(name, "gap p50 meanwhile", "ms", worst, usual, 3.0, at_most=True, note=note)
