"""The rows on tokens per second: distinct prompts, a shared prefix, several choices, and our defaults.

Our server, the peer with both sets of flags, and the floor use the same kernels and file. Our server with its default
settings is measured in addition.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench import (
    bare_kernels,
    rounds,
    run_stats,
    servers,
)
from bench.model_home import OptimizedModel
from bench.plan import Plan
from bench.rounds import Runs, Side
from bench.row import Row
from bench.servers import DEFAULT, TUNED
from bench.workload import Workload

OURS, FLOOR, BOX, BOX_FLOOR = "ours", "floor", "out of the box", "floor of that"
RIVALS = (DEFAULT, TUNED)
DISTINCT = {1: 1.0, 4: 1.1, 16: 1.2, 32: 1.2}
"""Targets against the faster peer, by number of streams."""

SHARED, CHOICES = "16 sharing 600 tokens", "4 x n=4"
_PEER = "llama.cpp's server"
Found = Mapping[str, Runs]


def streams(count: int) -> str:
    """The name of the load of `count` streams."""
    return f"{count} stream{'s' if count > 1 else ''}"


def workloads() -> list[Workload]:
    """All loads, those with distinct prompts first."""
    distinct = [Workload(streams(count), requests=count) for count in DISTINCT]
    return [*distinct, Workload(SHARED, requests=16, shared_tokens=600), Workload(CHOICES, requests=4, n=4)]


def measure(plan: Plan, weights: Path, optimized: OptimizedModel) -> dict[str, Runs]:
    """Run every load on its sides; the outcomes by load, then by side."""
    found = {}
    with _sides(plan, weights, optimized) as sides:
        for work in workloads():
            work = plan.sized(work)
            same = {name: side for name, side in sides.items() if name in (OURS, FLOOR, *RIVALS)}
            taking = sides if work.name == streams(16) else same
            is_long = work.name in (streams(32), SHARED)
            found[work.name] = rounds.alternate(taking, work, plan.rounds_of(is_long=is_long), RIVALS, plan.say)
    return found


@contextmanager
def _sides(plan: Plan, weights: Path, optimized: OptimizedModel) -> Iterator[dict[str, Side]]:
    """Start all sides, warm them up, and pause them."""
    kernels = servers.wheel_kernels()
    with ExitStack() as stack:
        sides: dict[str, Side] = {}

        def add(name: str, side: Side) -> None:
            plan.say(f"warm-up: {name}")
            side.measure(Workload(f"warm-up of {name}", requests=1, prompt_tokens=16, output_tokens=4), turn=0)
            side.child.pause()
            sides[name] = side

        add(OURS, stack.enter_context(servers.homeport(plan.model, plan.same_kernels())))
        for flags in RIVALS:
            add(flags, stack.enter_context(servers.llamacpp(weights, flags, plan.threads, plan.llama_server)))
        add(FLOOR, stack.enter_context(bare_kernels.running(weights, kernels, plan.threads)))
        add(BOX, stack.enter_context(servers.homeport(plan.model, optimized.settings)))
        add(
            BOX_FLOOR,
            stack.enter_context(bare_kernels.running(optimized.weights, optimized.kernels or kernels, plan.threads)),
        )
        yield sides


def rows(found: Found, optimized: OptimizedModel) -> list[Row]:
    """Compare the outcomes with the targets."""
    table_rows = [_against_better(streams(count), found, target) for count, target in DISTINCT.items()]
    table_rows += _shared(found[SHARED])
    table_rows.append(_against_better(CHOICES, found, 1.1))
    table_rows.append(_out_of_the_box(found[streams(16)], optimized))
    table_rows += [_whole_server(streams(count), found[streams(count)]) for count in DISTINCT]
    return table_rows


def better(runs: Runs) -> str:
    """The name of the faster set of the peer's flags."""
    return max(RIVALS, key=lambda name: run_stats.speed(runs[name]))


def _against_better(name: str, found: Found, target: float) -> Row:
    runs = found[name]
    best = better(runs)
    ours, theirs, bare = (run_stats.speed(runs[side]) for side in (OURS, best, FLOOR))
    return Row(name, f"{_PEER}, {best} flags", "tok/s", ours, theirs, target, floor=bare)


def _shared(runs: Runs) -> list[Row]:
    best = better(runs)
    ours, theirs, tuned, bare = (run_stats.speed(runs[side]) for side in (OURS, best, TUNED, FLOOR))
    soonest = min(RIVALS, key=lambda side: run_stats.ttft(runs[side]))
    first, peers = (run_stats.ttft(runs[side]) * 1e3 for side in (OURS, soonest))
    return [
        Row(SHARED, f"{_PEER}, {best} flags", "tok/s", ours, theirs, 2.0, floor=bare),
        Row(SHARED, f"{_PEER}, {TUNED} flags", "tok/s", ours, tuned, 3.0, floor=bare),
        Row(f"{SHARED}: TTFT p50", f"{_PEER}, {soonest} flags", "ms", first, peers, 0.5, at_most=True),
    ]


def _out_of_the_box(runs: Runs, optimized: OptimizedModel) -> Row:
    best = better(runs)
    ours, theirs, bare = (run_stats.speed(runs[side]) for side in (BOX, best, BOX_FLOOR))
    against = f"{_PEER} as shipped, {best} flags"
    return Row(f"{streams(16)}, {BOX}", against, "tok/s", ours, theirs, 2.0, floor=bare, note=optimized.note)


def _whole_server(name: str, runs: Runs) -> Row:
    ours, bare = (run_stats.speed(runs[side]) for side in (OURS, FLOOR))
    return Row(f"{name}, whole server", "the bare kernels (floor)", "tok/s", ours, bare, 0.95)
