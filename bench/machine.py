"""Where and with what a run was made: machine, versions, commit."""

import datetime
import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

from bench.plan import Plan

_CPUINFO = Path("/proc/cpuinfo")


def _cpu() -> str:
    """The processor's name where the system tells it, else its family."""
    if _CPUINFO.is_file():
        for line in _CPUINFO.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def commit() -> str:
    """The commit measured, with a plus where files differ from it; `unknown` outside of a clone."""
    told = subprocess.run(["git", "describe", "--always", "--dirty=+"], capture_output=True, text=True, check=False)
    return told.stdout.strip() or "unknown"


def heading(plan: Plan) -> str:
    """One line: day, commit, model, machine, versions and how it was run."""
    day = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    peer = plan.peer.name if plan.peer else f"xllamacpp {version('xllamacpp')}"
    parts = [
        day,
        commit(),
        plan.model,
        f"{_cpu()}, {os.cpu_count()} CPUs, {plan.threads} threads",
        f"{platform.system()} {platform.machine()}, Python {platform.python_version()}, peer {peer}",
        f"{plan.rounds} round{'s' if plan.rounds > 1 else ''}{', quick: figures mean nothing' if plan.quick else ''}",
    ]
    return " · ".join(parts)
