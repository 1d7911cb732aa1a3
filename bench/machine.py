"""Where and with what a run was made: machine, versions, commit."""

import contextlib
import datetime
import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

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


def heading(model: str, threads: int, peer: str, how: str) -> str:
    """One line: day, commit, model, machine, versions (`peer`: a package's name, or a program's) and how it was run."""
    day = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    with contextlib.suppress(PackageNotFoundError):
        peer = f"{peer} {version(peer)}"
    parts = [
        day,
        commit(),
        model,
        f"{_cpu()}, {os.cpu_count()} CPUs, {threads} threads",
        f"{platform.system()} {platform.machine()}, Python {platform.python_version()}, peer {peer}",
        how,
    ]
    return " · ".join(parts)


def rounds(number: int) -> str:
    """How many, in words."""
    return f"{number} round{'s' if number > 1 else ''}"
