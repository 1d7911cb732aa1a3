"""Processes under test: starts, waits for, pauses, measures and ends them.

All processes of a paused program are stopped (SIGSTOP), so that only the measured one can use the CPU.
"""

import contextlib
import os
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import IO

import psutil

_END_S = 30.0
_POLL_S = 0.005
_LAST_OUTPUT_CHARACTERS = 2000


class Child:
    """A running program, with all processes that it started."""

    def __init__(self, process: "subprocess.Popen[bytes]", stderr: IO[bytes]) -> None:
        self.process = process
        self._main = psutil.Process(process.pid)
        self._stderr = stderr

    def tree(self) -> list[psutil.Process]:
        """Its processes, the main one first."""
        return [self._main, *self._main.children(recursive=True)]

    def pause(self) -> None:
        """Stop all its processes."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Resume all its processes."""
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """End all its processes at once."""
        self._signal(signal.SIGKILL)

    def main_cpu_s(self) -> float:
        """CPU time of the main process so far."""
        return _cpu_s(self._main)

    def cpu_s(self) -> float:
        """CPU time of all its processes so far."""
        return sum(_cpu_s(process) for process in self.tree())

    def memory_bytes(self) -> tuple[int, int]:
        """Resident and proportional memory of the main process; if the latter is unknown, resident memory twice."""
        found = self._main.memory_full_info()
        return int(found.rss), int(getattr(found, "pss", found.rss))

    def last_output(self) -> str:
        """The end of its standard error."""
        self._stderr.seek(0)
        return self._stderr.read().decode("utf-8", "replace").strip()[-_LAST_OUTPUT_CHARACTERS:]

    def _signal(self, number: signal.Signals) -> None:
        for process in self.tree():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)


def _cpu_s(process: psutil.Process) -> float:
    with contextlib.suppress(psutil.NoSuchProcess):
        spent = process.cpu_times()
        return float(spent.user + spent.system)
    return 0.0


@contextmanager
def running(
    command: Sequence[str], environ: Mapping[str, str] | None = None, *, pipes: bool = False
) -> Iterator[Child]:
    """Run a program until the context ends. `pipes`: connect its standard input and output.

    It has a session of its own, because Linux may divide CPU time among sessions first, and then within each.
    """
    pipe = subprocess.PIPE if pipes else subprocess.DEVNULL
    with tempfile.TemporaryFile() as stderr:
        process = subprocess.Popen(
            command,
            env={**os.environ, **(environ or {})},
            stdin=pipe,
            stdout=pipe,
            stderr=stderr,
            start_new_session=True,
        )
        child = Child(process, stderr)
        try:
            yield child
        finally:
            _end(child)


def _end(child: Child) -> None:
    process = child.process
    if process.poll() is None:
        child.resume()
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:
            child.kill()
            process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()


def wait(child: Child, url: str, limit_s: float = 180.0) -> None:
    """Wait until `url` answers with 200. Raises RuntimeError with its last output if it ends, or TimeoutError."""
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        if child.process.poll() is not None:
            raise RuntimeError(f"{child.process.args!r} ended before it answered {url}: {child.last_output()}")
        if _answers(url):
            return
        time.sleep(_POLL_S)
    raise TimeoutError(f"no answer from {url} within {limit_s:.0f} s: {child.last_output()}")


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - an http address on loopback
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def free_port() -> int:
    """A port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
