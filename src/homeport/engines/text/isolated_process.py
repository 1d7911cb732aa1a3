"""Runs a program's untrusted work in a child process, which is killed if one reply takes too long.

The child is a module with a `main` that answers each message with one reply, see `isolated_worker`. Knows nothing of
what is computed there.
"""

import contextlib
import os
import select
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any, BinaryIO, cast

from homeport.domain import child_environment
from homeport.domain.errors import EngineFailed, Unavailable
from homeport.engines.text.isolated_worker import receive, send

WAIT_S = 60.0
"""Wall-clock time: on a busy machine, two seconds of CPU time may take long."""
_POLL_MS = 50
_NO_DEBUGGER = {"GGML_NO_BACKTRACE": "1"}  # llama.cpp would start one when it crashes, which takes seconds
_BOOT = "import os, sys; sys.path[:] = sys.argv.pop().split(os.pathsep); from {} import main; main()"


class ProcessStopped(Exception):
    """The process did not reply: it took too long, or (`is_crash`) it crashed or ran out of memory."""

    def __init__(self, *, is_crash: bool) -> None:
        super().__init__("crashed" if is_crash else "too long")
        self.is_crash = is_crash


class IsolatedProcess:
    """One child process that runs the module `worker`; one thread may use it at a time.

    `purpose` completes "The process that …" in errors; `wait_s`: the wall-clock time of one reply, by default `WAIT_S`.
    Raises Unavailable if it cannot be started.
    """

    def __init__(self, worker: str, purpose: str, wait_s: float | None = None) -> None:
        self._purpose = purpose
        self._wait_s = wait_s
        # Without site packages, and isolated from environment variables that change Python.
        boot, path = _BOOT.format(worker), os.pathsep.join(path for path in sys.path if path)
        command = [sys.executable, "-I", "-S", "-c", boot, path]
        try:
            self._child = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**child_environment.child_environment(), **_NO_DEBUGGER},
            )
        except OSError as error:
            raise Unavailable(f"The process that {purpose} cannot be started: {error}") from error
        self._requests = cast("BinaryIO", self._child.stdin)
        self._replies = cast("BinaryIO", self._child.stdout)

    @property
    def is_alive(self) -> bool:
        """Whether it still runs."""
        return self._child.poll() is None

    def request(self, message: object, check: Callable[[], None] | None = None) -> dict[str, Any]:
        """Send a message and return the reply; both are JSON values.

        `check` is called while it waits and may raise. Raises ProcessStopped, and EngineFailed if the process exits by
        itself; it can then only be ended.
        """
        ready = select.poll()
        ready.register(self._replies, select.POLLIN)
        deadline = time.monotonic() + (WAIT_S if self._wait_s is None else self._wait_s)
        try:
            send(self._requests, message)
            while not ready.poll(_POLL_MS):
                if check is not None:
                    check()
                if time.monotonic() > deadline:
                    raise ProcessStopped(is_crash=False)
            return cast("dict[str, Any]", receive(self._replies))
        except (EOFError, BrokenPipeError) as error:
            raise self._exit_error(self._child.wait()) from error

    def read(self, size: int) -> bytes:
        """Return bytes that follow the reply just received. Raises as `request` does."""
        data = self._replies.read(size)
        if len(data) < size:
            raise self._exit_error(self._child.wait())
        return data

    @property
    def pid(self) -> int:
        """The process id."""
        return self._child.pid

    def end(self) -> None:
        """Kill it and wait until its memory is freed."""
        self._child.kill()
        self._child.wait()
        for stream in (self._requests, self._replies):
            with contextlib.suppress(OSError):  # unsent data does not matter
                stream.close()

    def _exit_error(self, code: int) -> Exception:
        """Return the error for an exit with this code."""
        if code < 0:
            return ProcessStopped(is_crash=code != -signal.SIGPROF)
        return EngineFailed(f"The process that {self._purpose} ended with exit code {code}.")


class ProcessPool:
    """Idle processes of one kind, for several threads; `start` starts another one when none is idle."""

    def __init__(self, start: Callable[[], IsolatedProcess]) -> None:
        self._start = start
        self._lock = threading.Lock()
        self._idle: list[IsolatedProcess] = []
        weakref.finalize(self, _end, self._idle)

    def take(self) -> IsolatedProcess:
        """Return an idle process, or a new one; dead ones are removed."""
        while (process := self._pop()) is not None:
            if process.is_alive:
                return process
            process.end()
        return self._start()

    def keep(self, process: IsolatedProcess) -> None:
        """Keep an idle process for later use."""
        with self._lock:
            self._idle.append(process)

    def close(self) -> None:
        """End the idle processes."""
        with self._lock:
            _end(self._idle)

    def _pop(self) -> IsolatedProcess | None:
        with self._lock:
            return self._idle.pop() if self._idle else None


def _end(processes: list[IsolatedProcess]) -> None:
    while processes:
        processes.pop().end()
