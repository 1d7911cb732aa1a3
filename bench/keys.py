"""The row on keys: what a request costs the gateway with a stored key, all its limits on, against a plain key."""

import json
import os
import subprocess
import sys
import tempfile
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

from bench import figures, rounds, servers
from bench.plan import Plan
from bench.row import Row
from bench.servers import Served
from bench.workload import Workload

_LIMIT = 1.10
_PLENTY = str(10**9)
_FLAGS = ("--requests-per-minute", "--tokens-per-minute", "--tokens-per-day", "--tokens-per-month")


def rows(plan: Plan) -> list[Row]:
    """Measure short requests, in paired rounds, behind the engine that says a word a step."""
    work = Workload("short requests", requests=200 if plan.quick else 1000, output_tokens=4, concurrency=16)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        plain, keyed = (Path(folder) / name for name in ("plain", "keyed"))
        sides = {
            "plain": stack.enter_context(_served(plan, plain, {"API_KEYS": "bench"})),
            "keyed": stack.enter_context(_served(plan, keyed, {}, _key(plan, keyed))),
        }
        for side in sides.values():
            rounds.alone(side, Workload("warm-up", requests=32, output_tokens=4), turn=0)
        runs = rounds.alternate(sides, work, plan.rounds, say=plan.say)
    cost = {
        name: figures.median((run.server_cpu_s or 0.0) / work.requests for run in found) * 1e6
        for name, found in runs.items()
    }
    note = "scripted engine; usage is written down on both sides"
    what = "gateway CPU per request, a stored key with every limit"
    return [Row(what, "a plain key", "µs", cost["keyed"], cost["plain"], _LIMIT, at_most=True, note=note)]


def _key(plan: Plan, home: Path) -> str:
    """Make a home with the model in it, and a key there; give its secret."""
    limits = [word for flag in (*_FLAGS, "--concurrent-requests") for word in (flag, _PLENTY)]
    command = [sys.executable, "-m", "homeport", "keys", "create", "bench", "--json", *limits]
    _home(plan, home)
    environ = {**os.environ, "HOMEPORT_HOME": str(home)}
    said = subprocess.run(command, env=environ, check=True, capture_output=True, text=True)
    return str(json.loads(said.stdout)["secret"])


def _home(plan: Plan, home: Path) -> None:
    home.mkdir(exist_ok=True)
    if not (home / "models").exists():
        (home / "models").symlink_to(plan.home / "models")


def _served(plan: Plan, home: Path, settings: dict[str, str], key: str = "bench") -> AbstractContextManager[Served]:
    _home(plan, home)
    return servers.homeport(plan.model, {"HOME": str(home), **settings}, ("-m", "bench.scripted", "serve"), key=key)
