"""The row on keys: the gateway's CPU time per request with keys, limits and usage, against none of these.

`python -m bench` includes it; `python -m bench.keys` measures it alone.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

from bench import (
    log,
    machine,
    rounds,
    run_stats,
    scripted,
    servers,
    table,
)
from bench.plan import Plan
from bench.row import Row
from bench.servers import Served
from bench.workload import Workload
from homeport.settings import load

_LIMIT = 1.10
_HIGH_LIMIT = str(10**9)
_FLAGS = ("--requests-per-minute", "--tokens-per-minute", "--tokens-per-day", "--tokens-per-month")


def rows(plan: Plan) -> list[Row]:
    """Measure short requests with the scripted engine, in paired rounds."""
    work = Workload("short requests", requests=200 if plan.quick else 1000, output_tokens=4, concurrency=16)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        plain, keyed = (Path(folder) / name for name in ("plain", "keyed"))
        sides = {
            "plain": stack.enter_context(_served(plan, plain, {"API_KEYS": "bench"}, flags=(scripted.WITHOUT_USAGE,))),
            "keyed": stack.enter_context(_served(plan, keyed, {}, _create_key(plan, keyed))),
        }
        for side in sides.values():
            rounds.alone(side, Workload("warm-up", requests=32, output_tokens=4), turn=0)
        runs = rounds.alternate(sides, work, plan.rounds, say=plan.say)
    cost = {
        name: run_stats.median((run.server_cpu_s or 0.0) / work.requests for run in found) * 1e6
        for name, found in runs.items()
    }
    note = "scripted engine"
    what = "gateway CPU per request: stored key, every limit, usage written"
    return [Row(what, "plain key, no usage", "µs", cost["keyed"], cost["plain"], _LIMIT, at_most=True, note=note)]


def _create_key(plan: Plan, home: Path) -> str:
    """Create a home with the model and a key; return the key's secret."""
    limits = [word for flag in (*_FLAGS, "--concurrent-requests") for word in (flag, _HIGH_LIMIT)]
    command = [sys.executable, "-m", "homeport", "keys", "create", "bench", "--json", *limits]
    _create_home(plan, home)
    environ = {**os.environ, "HOMEPORT_HOME": str(home)}
    created = subprocess.run(command, env=environ, check=True, capture_output=True, text=True)
    return str(json.loads(created.stdout)["secret"])


def _create_home(plan: Plan, home: Path) -> None:
    home.mkdir(exist_ok=True)
    if not (home / "models").exists():
        (home / "models").symlink_to(plan.home / "models")


def _served(
    plan: Plan, home: Path, settings: dict[str, str], key: str = "bench", flags: tuple[str, ...] = ()
) -> AbstractContextManager[Served]:
    _create_home(plan, home)
    command = ("-m", "bench.scripted", *flags, "serve")
    return servers.homeport(plan.model, {"HOME": str(home), **settings}, command, key=key)


def main() -> None:
    """Measure this row alone."""
    parser = argparse.ArgumentParser(prog="python -m bench.keys", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--log", action="store_true", help="append the table to bench/LOG.md")
    arguments = parser.parse_args()
    threads = os.cpu_count() or 1
    plan = Plan("smollm2-135m", arguments.rounds, threads, load().home, say=lambda _: None)
    heading = machine.heading("the gateway alone", threads, "xllamacpp", machine.rounds(arguments.rounds))
    lines = [f"### {heading}", "", *table.targets(rows(plan))]
    print("\n".join(lines), flush=True)
    if arguments.log:
        log.append(lines)


if __name__ == "__main__":
    main()
