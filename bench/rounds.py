"""Paired rounds: each side runs the same load in turn, while all others are paused.

The order is reversed every other round, so that drift of the machine affects all alike. Knows nothing of what sides
are.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Protocol

import psutil

from bench.processes import Child
from bench.run_stats import Outcome, speed
from bench.workload import Workload

_BEATEN_SHARE = 0.8
"""A rival below this share of the best rival's speed is left out of further rounds."""

Runs = dict[str, list[Outcome]]


class Side(Protocol):
    """Something that can be measured under a load."""

    child: Child

    def measure(self, work: Workload, turn: int) -> Outcome:
        """Run the load once."""
        ...


def alternate(
    sides: Mapping[str, Side],
    work: Workload,
    rounds: int,
    rivals: Collection[str] = (),
    say: Callable[[str], None] = lambda _: None,
) -> Runs:
    """Measure all sides in turn. Of `rivals` only the best counts."""
    found: Runs = {name: [] for name in sides}
    beaten: set[str] = set()
    for turn in range(rounds):
        order = list(sides) if turn % 2 == 0 else list(reversed(list(sides)))
        for name in order:
            if name not in beaten:
                run = alone(sides[name], work, turn)
                found[name].append(run)
                say(f"{work.name}: round {turn + 1} of {rounds}, {name}: {run.tokens_per_s:.1f} tokens/s")
        best = max((speed(found[name]) for name in rivals), default=0.0)
        beaten |= {name for name in rivals if speed(found[name]) < _BEATEN_SHARE * best}
    return found


def alone(side: Side, work: Workload, turn: int) -> Outcome:
    """Resume a side, measure it and the CPU time that it and all other programs use, and pause it."""
    child = side.child
    child.resume()
    try:
        machine, whole, main = _busy_s(), child.cpu_s(), child.main_cpu_s()
        found = side.measure(work, turn)
        ours = child.cpu_s() - whole + found.client_cpu_s
        found.server_cpu_s = child.main_cpu_s() - main
        found.others = max(0.0, _busy_s() - machine - ours) / (found.wall_s * (psutil.cpu_count() or 1))
        return found
    finally:
        child.pause()


def _busy_s() -> float:
    """CPU time of all programs of this machine so far, including time stolen by other virtual machines."""
    spent = psutil.cpu_times()
    return sum(getattr(spent, name, 0.0) for name in ("user", "nice", "system", "irq", "softirq", "steal"))
