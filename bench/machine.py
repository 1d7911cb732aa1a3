"""The circumstances of a run: machine, versions, commit."""

import contextlib
import datetime
import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from homeport import settings

_CPUINFO = Path("/proc/cpuinfo")


def _cpu() -> str:
    """The processor's name if the system reports it, else its family."""
    if _CPUINFO.is_file():
        for line in _CPUINFO.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def commit() -> str:
    """The commit measured, with a plus if files differ from it; `unknown` outside a clone."""
    described = subprocess.run(
        ["git", "describe", "--always", "--dirty=+"], capture_output=True, text=True, check=False
    )
    return described.stdout.strip() or "unknown"


def heading(model: str, threads: int, peer: str, method: str) -> str:
    """One line: day, commit, model, machine, versions (`peer`: a package's name, or a program's) and method."""
    day = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    with contextlib.suppress(PackageNotFoundError):
        peer = f"{peer} {version(peer)}"
    parts = [
        day,
        commit(),
        model,
        f"{_cpu()}, {os.cpu_count()} CPUs, {threads} threads",
        f"{platform.system()} {platform.machine()}, Python {platform.python_version()}, peer {peer}",
        method,
        *(["ours with [prompts]"] if has_prompts() else []),
    ]
    return " · ".join(parts)


def has_prompts() -> bool:
    """Whether our servers compute with the extra `prompts`, where it is faster."""
    return find_spec("openvino") is not None and settings.load().prompts != "off"


def rounds(number: int) -> str:
    """`1 round`, `2 rounds`."""
    return f"{number} round{'s' if number > 1 else ''}"
