"""Renders chat templates in separate processes, which are killed if a template takes too long.

A process compiles the template once and renders a conversation in one round trip. Another one is started if two threads
render at the same time, or after one was killed.
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
from collections.abc import Sequence
from typing import Any, BinaryIO, cast

from homeport.domain import child_environment
from homeport.domain.errors import EngineFailed, Unavailable
from homeport.engines.text.prompt_length_limits import Check
from homeport.engines.text.template_sandbox import ChatTemplateError, Run, TemplateStopped
from homeport.engines.text.template_worker import receive, send

WAIT_S = 60.0
"""Wall-clock time: on a busy machine, two seconds of CPU time may take long."""
_POLL_MS = 50
_WORKER = "homeport.engines.text.template_worker"
_BOOT = f"import os, sys; sys.path[:] = sys.argv.pop().split(os.pathsep); from {_WORKER} import main; main()"
_TOO_LONG = "The model's chat template took too long."


class IsolatedProgram:
    """A template compiled in another process. Raises ChatTemplateError if it does not compile within the limits.

    Several threads may use it. Raises Unavailable if no process can be started.
    """

    def __init__(self, source: str) -> None:
        self._source = source
        self._lock = threading.Lock()
        self._idle: list[_Process] = []
        weakref.finalize(self, _end, self._idle)
        self._idle.append(_Process(source))

    def render(self, runs: Sequence[Run], check: Check | None = None) -> list[str]:
        """Return the output of each run. Raises ChatTemplateError, and what `check` raises, called while it waits."""
        process = self._free() or _Process(self._source)
        try:
            reply = process.request([list(run) for run in runs], check)
        except BaseException:
            process.end()
            raise
        if reply.get("stopped"):
            process.end()
            raise TemplateStopped(reply["refused"])
        with self._lock:
            self._idle.append(process)
        if "refused" in reply:
            raise ChatTemplateError(reply["refused"])
        return cast("list[str]", reply["texts"])

    def close(self) -> None:
        """End the processes."""
        with self._lock:
            _end(self._idle)

    def _free(self) -> "_Process | None":
        """Return an idle process, None if there is none; dead ones are removed."""
        with self._lock:
            while self._idle:
                process = self._idle.pop()
                if process.is_alive:
                    return process
                process.end()
        return None


class _Process:
    def __init__(self, source: str) -> None:
        # Without site packages, and isolated from environment variables that change Python.
        command = [sys.executable, "-I", "-S", "-c", _BOOT, os.pathsep.join(path for path in sys.path if path)]
        try:
            self._child = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=child_environment.child_environment()
            )
        except OSError as error:
            raise Unavailable(f"The process that renders the chat template cannot be started: {error}") from error
        self._requests = cast("BinaryIO", self._child.stdin)
        self._replies = cast("BinaryIO", self._child.stdout)
        try:
            reply = self.request(source, None)
        except BaseException:
            self.end()
            raise
        if "refused" in reply:
            self.end()
            raise ChatTemplateError(reply["refused"])

    @property
    def is_alive(self) -> bool:
        return self._child.poll() is None

    def request(self, message: object, check: Check | None) -> dict[str, Any]:
        """Send a message and wait for the reply. Raises TemplateStopped if the process exceeds its time."""
        ready = select.poll()
        ready.register(self._replies, select.POLLIN)
        deadline = time.monotonic() + WAIT_S
        try:
            send(self._requests, message)
            while not ready.poll(_POLL_MS):
                if check is not None:
                    check()
                if time.monotonic() > deadline:
                    raise TemplateStopped(_TOO_LONG)
            return cast("dict[str, Any]", receive(self._replies))
        except (EOFError, BrokenPipeError) as error:
            raise _exit_error(self._child.wait()) from error

    def end(self) -> None:
        """Kill it and wait until its memory is freed."""
        self._child.kill()
        self._child.wait()
        for stream in (self._requests, self._replies):
            with contextlib.suppress(OSError):  # unsent data does not matter
                stream.close()


def _exit_error(code: int) -> Exception:
    """Return the error for a process that ended with this code."""
    if code == -signal.SIGPROF:
        return TemplateStopped(_TOO_LONG)
    if code < 0:
        return TemplateStopped("The model's chat template crashed the process that rendered it.")
    return EngineFailed(f"The process that renders the chat template ended with exit code {code}.")


def _end(processes: list[_Process]) -> None:
    while processes:
        processes.pop().end()
