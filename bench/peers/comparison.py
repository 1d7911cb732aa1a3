"""The rows against vLLM's CPU build: each side serves the same model from the weights that it computes fastest.

Ours has the layout that `homeport optimize` chose, whose loss is below its limits, and is as it comes out of the box;
vLLM has BF16. Both run in the same rounds.
"""

from collections.abc import Mapping
from contextlib import ExitStack

import msgspec

from bench import rounds, run_stats, servers, table
from bench.model_home import OptimizedModel
from bench.peers import vllm_cpu
from bench.peers.vllm_cpu import Installation
from bench.plan import Plan
from bench.rounds import Runs, Side
from bench.row import Row, unmeasured
from bench.throughput import BOX, SHARED, streams
from bench.workload import Workload

VLLM, AGAINST = "vLLM", "vLLM's CPU build (BF16)"
_SUFFIX = "best layout each"
Found = Mapping[str, Runs]


class Target(msgspec.Struct, frozen=True):
    """A load with the minimum of ours / theirs in tokens per second, and the maximum in time to first token.

    None: no such row.
    """

    work: Workload
    speed: float | None
    ttft: float | None
    note: str = ""


TARGETS = (
    Target(Workload(streams(1), 1), 1.5, 1.0),
    Target(Workload(streams(16), 16), 0.95, None, "stretch target: 1.2"),
    Target(Workload("4 prompts of 1,500 tokens", 4, prompt_tokens=1500), 0.95, 1.0),
    Target(Workload("1 prompt of 1,500 tokens", 1, prompt_tokens=1500, output_tokens=8), None, 1.0),
    Target(Workload(SHARED, 16, shared_tokens=600), 1.2, None),
)
_WARM_UP = Workload("warm-up", requests=2, prompt_tokens=64, output_tokens=8)
_LONG = 3000
"""Prompt tokens of a load, in total, from which a round takes long."""


def measure(plan: Plan, peer: Installation, optimized: OptimizedModel) -> dict[str, Runs]:
    """Run every load on both servers in turn; the outcomes by load, then by side."""
    with ExitStack() as stack:
        sides: dict[str, Side] = {}
        for name, server in (
            (BOX, servers.homeport(plan.model, optimized.settings)),
            (VLLM, vllm_cpu.running(peer, plan.model, plan.threads)),
        ):
            plan.say(f"start and warm-up: {name}")
            sides[name] = side = stack.enter_context(server)
            side.measure(_WARM_UP, turn=0)
            side.child.pause()
        return {each.work.name: _alternate(plan, sides, each.work) for each in TARGETS}


def _alternate(plan: Plan, sides: Mapping[str, Side], work: Workload) -> Runs:
    is_long = work.requests * (work.shared_tokens + work.prompt_tokens) > _LONG
    return rounds.alternate(sides, plan.sized(work), plan.rounds_of(is_long=is_long), say=plan.say)


def rows(found: Found, note: str) -> list[Row]:
    """Compare the outcomes with the targets. `note` describes our weights."""
    table_rows = []
    for each in TARGETS:
        ours, theirs = (found[each.work.name][side] for side in (BOX, VLLM))
        name, notes = f"{each.work.name}, {_SUFFIX}", "; ".join(part for part in (note, each.note) if part)
        if each.speed is not None:
            speeds = run_stats.speed(ours), run_stats.speed(theirs)
            table_rows.append(Row(name, AGAINST, "tok/s", *speeds, each.speed, note=notes))
        if each.ttft is not None:
            waits = run_stats.ttft(ours) * 1e3, run_stats.ttft(theirs) * 1e3
            title = f"{name}: TTFT p50" if each.work.requests > 1 else f"{name}: TTFT"
            table_rows.append(Row(title, AGAINST, "ms", *waits, each.ttft, at_most=True, note=note))
    return table_rows


def missing(why: str) -> list[Row]:
    """The rows if vLLM cannot be measured: one that says why, such as `is not installed`."""
    sixteen = TARGETS[1]
    return [unmeasured(f"{sixteen.work.name}, {_SUFFIX}", AGAINST, sixteen.speed or 0.0, f"{vllm_cpu.NAME} {why}")]


def details(found: Found) -> list[str]:
    """The table of details behind the rows."""
    return table.details({f"{name}, {_SUFFIX}": runs for name, runs in found.items()})
