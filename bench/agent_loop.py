"""The rows on an agent's loop: a long system prompt with tools, and turns of a forced call and its result.

`python -m bench.agent_loop` measures our server and llama.cpp's own, with its prompt cache, on the same kernels and
file. One is paused while the other runs. With `--restart` our server is also measured with a restart between two turns
and a folder that keeps prefixes.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import msgspec

from bench import (
    agent_texts,
    chat,
    log,
    machine,
    model_home,
    run_stats,
    servers,
    table,
)
from bench.chat import ChatReply
from bench.load import Address
from bench.plan import Plan
from bench.row import Row
from bench.servers import Served
from homeport import settings

OURS, PEER, RESTARTED = "Homeport", "llama.cpp's server", "Homeport, restarted"
TURNS, RESTART_AFTER = 10, 5
_SHARE_OF_FIRST, _SHARE_OF_PEER = 0.1, 1.0
_MAX_TOKENS = 96


class Conversation:
    """One agent's conversation, whose turns are sent one after the other."""

    def __init__(self, seed: str, begin: str = "") -> None:
        """`begin`: how a call begins. Every answer is begun with it, and ended where it would begin a second call."""
        self._seed = seed
        self._begun = [{"role": "assistant", "content": begin}] if begin else []
        self._ended = {"stop": [begin.strip()]} if begin else {}
        self._messages: list[dict[str, Any]] = [
            {"role": "system", "content": agent_texts.system(seed)},
            {"role": "user", "content": agent_texts.TASK},
        ]
        self.turns: list[ChatReply] = []

    def run(self, to: Address, turns: int) -> None:
        """Run further turns. Raises RuntimeError if one fails or makes no call."""
        for _ in range(turns):
            reply = asyncio.run(chat.send(to, self._body()))
            if reply.failure or not reply.calls:
                raise RuntimeError(f"turn {len(self.turns) + 1}: {reply.failure or 'no call'}: {reply.content[:200]}")
            self.turns.append(reply)
            result = agent_texts.result(self._seed, len(self.turns))
            answers = [{"role": "tool", "tool_call_id": call.id, "content": result} for call in reply.calls]
            self._messages += [reply.message(), *answers]

    def _body(self) -> dict[str, Any]:
        return {
            "messages": [*self._messages, *self._begun],
            "tools": agent_texts.tools(),
            "tool_choice": "required",
            "parallel_tool_calls": False,
            "temperature": 0,
            "max_tokens": _MAX_TOKENS,
            **self._ended,
        }


Loops = dict[str, list[list[ChatReply]]]
"""By side, the turns of each round."""


class Options(msgspec.Struct, frozen=True):
    """Which sides are measured. `seed` begins every conversation of this run, so that none was seen before."""

    sides: Sequence[str]
    seed: str
    turns: int = TURNS


def measure(plan: Plan, options: Options) -> Loops:
    """Run the loop on all sides, in reversed order every other round."""
    found: Loops = {side: [] for side in options.sides}
    with _running(plan, options) as running:
        for turn in range(plan.rounds):
            order = list(options.sides) if turn % 2 == 0 else list(reversed(options.sides))
            for name in order:
                seed = f"{options.seed}-{turn}"
                turns = _restarted(plan, seed, options) if name == RESTARTED else _kept(running, name, options, seed)
                found[name].append(turns)
                plan.say(f"round {turn + 1} of {plan.rounds}, {name}: {_seconds(turns):.1f} s")
    return found


@contextmanager
def _running(plan: Plan, options: Options) -> Iterator[Mapping[str, Served]]:
    """Start the sides that run all the time, warm them up, and pause them."""
    with ExitStack() as stack:
        sides = {}
        if OURS in options.sides:
            sides[OURS] = stack.enter_context(servers.homeport(plan.model, plan.same_kernels()))
        if PEER in options.sides:
            weights = model_home.weights(plan.home, plan.model)
            sides[PEER] = stack.enter_context(servers.llamacpp(weights, servers.TOOLS, plan.threads, plan.llama_server))
        for side in sides.values():
            _warm(side.address)
            side.child.pause()
        yield sides


def _warm(to: Address) -> None:
    body = {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 4}
    reply = asyncio.run(chat.send(to, body))
    if reply.failure:
        raise RuntimeError(f"the warm-up failed: {reply.failure}")


def _kept(running: Mapping[str, Served], name: str, options: Options, seed: str) -> list[ChatReply]:
    side, conversation = running[name], Conversation(seed, servers.CALL_PREFILL if name == PEER else "")
    side.child.resume()
    try:
        conversation.run(side.address, options.turns)
    finally:
        side.child.pause()
    return conversation.turns


def _restarted(plan: Plan, seed: str, options: Options) -> list[ChatReply]:
    """Run our server twice with the same folder of prefixes, the second time for the turns after RESTART_AFTER."""
    conversation = Conversation(f"{seed}-restarted")
    with tempfile.TemporaryDirectory() as folder:
        given = {**plan.same_kernels(), "PREFIX_CACHE_DIR": folder}
        for turns in (min(RESTART_AFTER, options.turns), max(0, options.turns - RESTART_AFTER)):
            with servers.homeport(plan.model, given) as side:
                _warm(side.address)
                conversation.run(side.address, turns)
    return conversation.turns


def _seconds(turns: Sequence[ChatReply]) -> float:
    return sum(turn.wall_s for turn in turns)


def _first(loops: Sequence[Sequence[ChatReply]]) -> float:
    return run_stats.median(turns[0].ttft_s for turns in loops)


def _later(loops: Sequence[Sequence[ChatReply]], begin: int = 1) -> float:
    """The median time to the first token of the turns from `begin` on, counted from 0."""
    return run_stats.median(turn.ttft_s for turns in loops for turn in turns[begin:])


def rows(found: Loops) -> list[Row]:
    """Compare the sides that were measured."""
    made = []
    for side, loops in found.items():
        name, begin = (f"{side}, turns 2 to {len(loops[0])}", 1)
        if side == RESTARTED:
            name, begin = f"{side}, turns {RESTART_AFTER + 1} to {len(loops[0])}", RESTART_AFTER
        later, first = _later(loops, begin) * 1e3, _first(loops) * 1e3
        made.append(Row(f"agent loop: TTFT of {name}", "its turn 1", "ms", later, first, _SHARE_OF_FIRST, at_most=True))
    for side in (OURS, RESTARTED):
        if side in found and PEER in found:
            begin = RESTART_AFTER if side == RESTARTED else 1
            ours, theirs = (_later(found[each], begin) * 1e3 for each in (side, PEER))
            what = f"agent loop: TTFT of {side}, turn {begin + 1} on"
            made.append(Row(what, f"{PEER}, same turns", "ms", ours, theirs, _SHARE_OF_PEER, at_most=True))
    if OURS in found and PEER in found:
        ours, theirs = (run_stats.median(len(one) / _seconds(one) * 60 for one in found[each]) for each in (OURS, PEER))
        made.append(Row("agent loop: all turns", PEER, "turns/min", ours, theirs, _SHARE_OF_PEER))
    return made


def details(found: Loops) -> list[str]:
    """The table of turns: medians over the rounds."""
    lines = [
        "| turn | side | prompt tokens, of which kept | TTFT ms | whole ms | answer tokens |",
        "|---|---|---|---|---|---|",
    ]
    for side, loops in found.items():
        for turn, same in enumerate(zip(*loops, strict=True), 1):
            ttft, wall = (run_stats.median(getattr(one, name) for one in same) for name in ("ttft_s", "wall_s"))
            tokens = [
                f"{run_stats.median(getattr(one, name) for one in same):.0f}"
                for name in ("prompt_tokens", "cached_tokens", "completion_tokens")
            ]
            cells = (turn, side, f"{tokens[0]}, {tokens[1]}", f"{ttft * 1e3:.0f}", f"{wall * 1e3:.0f}", tokens[2])
            lines.append("| " + " | ".join(str(cell) for cell in cells) + " |")
    return lines


def main() -> None:
    """Measure these rows alone."""
    parser = argparse.ArgumentParser(prog="python -m bench.agent_loop", description=__doc__)
    parser.add_argument("--model", default="qwen2.5-coder-0.5b")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--turns", type=int, default=TURNS)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", choices=("ours", "peer"), help="measure one side alone")
    parser.add_argument("--restart", action="store_true", help="also measure a restart with a folder of prefixes")
    parser.add_argument("--llama-server", type=Path, help="llama.cpp's server to use instead of the wheel's")
    parser.add_argument("--log", action="store_true", help="append the tables to bench/LOG.md")
    arguments = parser.parse_args()

    def say(text: str) -> None:
        print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)

    sides = [name for name, short in ((OURS, "ours"), (PEER, "peer")) if arguments.only in (None, short)]
    options = Options([*sides, *([RESTARTED] if arguments.restart else [])], f"{time.time_ns():x}", arguments.turns)
    home, server = settings.load().home, arguments.llama_server
    plan = Plan(arguments.model, arguments.rounds, arguments.threads, home, say, llama_server=server)
    found = measure(plan, options)
    method = f"{arguments.turns} turns, {agent_texts.TOOLS} tools, {machine.rounds(arguments.rounds)}"
    heading = machine.heading(arguments.model, arguments.threads, "xllamacpp", method)
    lines = [f"### Agent loop · {heading}", "", *table.targets(rows(found)), "", *details(found)]
    print("\n".join(lines), flush=True)
    if arguments.log:
        log.append(lines)


if __name__ == "__main__":
    main()
