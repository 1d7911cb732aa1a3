"""The rows on busy machines: tokens per second next to other programs that compute all the time.

Our server chooses by itself how many threads compute. It is compared, on both kernels, with the same server on one
thread and with llama.cpp's own server, in one run. `python -m bench` includes these rows; `python -m bench.busy`
measures them alone.
"""

import argparse
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec

from bench import (
    log,
    machine,
    model_home,
    processes,
    rounds,
    run_stats,
    servers,
    table,
)
from bench.plan import Plan
from bench.rounds import Runs, Side
from bench.row import Row
from bench.servers import DEFAULT
from bench.workload import Workload
from homeport.models.kernels import find_installed_kernels
from homeport.settings import load

LOOPS, STREAMS = (0, 2, 6), (1, 16)
PEER, ONE = "llama.cpp's server", "--threads 1"
_SHARE_OF_ONE, _SHARE_OF_PEER = 0.95, 1.0
_LOOP = """
import os
parent = os.getppid()
while os.getppid() == parent:  # end if this program is killed
    for _ in range(1_000_000):
        pass
"""


class Busy(msgspec.Struct, frozen=True):
    """A load, and the number of other programs that run busy loops meanwhile."""

    loops: int
    streams: int

    @property
    def name(self) -> str:
        """Its name in the tables."""
        return f"{self.streams} stream{'s' if self.streams > 1 else ''} beside {self.loops} busy loops"

    @property
    def work(self) -> Workload:
        """The load: some seconds of work, because a scheduler favors a thread that woke up for about one second."""
        tokens = (50, 128) if self.streams == 1 else (24, 64)
        return Workload(self.name, self.streams, *tokens)


Found = Mapping[Busy, Runs]


def measure(plan: Plan, loads: Sequence[Busy]) -> dict[Busy, Runs]:
    """Run every load on every side; the outcomes by load, then by side."""
    found = {}
    with _sides(plan) as sides:
        for each in loads:
            with _loops(each.loops):
                for name, side in sides.items():  # a server that adapts its number of threads does so now
                    rounds.alone(side, Workload(f"warm-up of {name}, {each.name}", 1, 16, 8), turn=0)
                found[each] = rounds.alternate(sides, plan.sized(each.work), plan.rounds, say=plan.say)
    return found


def rows(plan: Plan, found: Found) -> list[Row]:
    """Compare our server, with each set of kernels, with itself on one thread and with the peer."""
    table_rows = []
    for each, runs in found.items():
        for kernels in _kernels(plan):
            ours, one, peer = (run_stats.speed(runs[side]) for side in (kernels, f"{kernels}, {ONE}", PEER))
            name = f"{each.name}, {kernels}"
            table_rows.append(Row(name, f"the same with {ONE}", "tok/s", ours, one, _SHARE_OF_ONE))
            table_rows.append(Row(name, PEER, "tok/s", ours, peer, _SHARE_OF_PEER))
    return table_rows


def details(found: Found) -> list[str]:
    """The table of details behind the rows."""
    return table.details({each.name: runs for each, runs in found.items()})


def loads(loops: Sequence[int] = LOOPS, streams: Sequence[int] = STREAMS) -> list[Busy]:
    """All loads, those with fewer busy loops first."""
    return [Busy(beside, count) for beside in loops for count in streams]


def _kernels(plan: Plan) -> dict[str, Path]:
    installed = find_installed_kernels(plan.home)
    return {**({"installed kernels": installed} if installed else {}), "wheel's kernels": servers.wheel_kernels()}


@contextmanager
def _sides(plan: Plan) -> Iterator[dict[str, Side]]:
    """Start all sides, and pause them."""
    with ExitStack() as stack:
        sides: dict[str, Side] = {}
        for name, kernels in _kernels(plan).items():
            settings = {**plan.same_kernels(), "LLAMA_LIB": str(kernels)}
            several = {key: value for key, value in settings.items() if key != "THREADS"}
            for title, given in ((name, several), (f"{name}, {ONE}", {**settings, "THREADS": "1"})):
                sides[title] = stack.enter_context(servers.homeport(plan.model, given))
        weights = model_home.weights(plan.home, plan.model)
        sides[PEER] = stack.enter_context(servers.llamacpp(weights, DEFAULT, plan.threads, plan.llama_server))
        for side in sides.values():
            side.measure(Workload("warm-up", 1, 16, 4), turn=0)
            side.child.pause()
        yield sides


@contextmanager
def _loops(count: int) -> Iterator[None]:
    """Run `count` programs that compute all the time, each in a session of its own like a user's programs."""
    with ExitStack() as stack:
        for _ in range(count):
            stack.enter_context(processes.running([sys.executable, "-c", _LOOP]))
        yield


def main() -> None:
    """Measure these rows alone."""
    parser = argparse.ArgumentParser(prog="python -m bench.busy", description=__doc__)
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--loops", type=int, nargs="*", default=LOOPS, help="numbers of busy loops")
    parser.add_argument("--streams", type=int, nargs="*", default=STREAMS)
    parser.add_argument("--log", action="store_true", help="append the tables to bench/LOG.md")
    arguments = parser.parse_args()
    threads = os.cpu_count() or 1

    def say(text: str) -> None:
        print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)

    plan = Plan(arguments.model, arguments.rounds, threads, load().home, say)
    found = measure(plan, loads(arguments.loops, arguments.streams))
    heading = machine.heading(arguments.model, threads, "xllamacpp", machine.rounds(arguments.rounds))
    lines = [f"### {heading}", "", *table.targets(rows(plan, found)), "", *details(found)]
    print("\n".join(lines), flush=True)
    if arguments.log:
        log.append(lines)


if __name__ == "__main__":
    main()
