"""One child process: starts it, reads its output, kills it, waits for its end. Knows nothing of frames."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections import deque
from typing import Self

from homeport.domain import child_environment

_log = logging.getLogger("homeport.worker")

_BOOT = "import os, sys; sys.path[:] = sys.argv.pop().split(os.pathsep); from homeport.serving.workers import worker; "
_COMMAND = (sys.executable, "-P", "-c", _BOOT + "worker.run_and_exit(sys.argv[1:])")
_LAST_LINES = 20
_LINE_CHARS = 400
_REAP_S = 10.0


class ChildProcess:
    """A running worker process. It imports from the same paths as this one, and leads its own session.

    It inherits only the environment variables it needs, without secrets. Its output goes to the log of
    `homeport.worker`; the last lines are kept, to explain its end.
    """

    def __init__(self, process: asyncio.subprocess.Process, model: str) -> None:
        self._process = process
        self._model = model
        self._lines: deque[str] = deque(maxlen=_LAST_LINES)
        self._reading = asyncio.create_task(self._read_output())

    @classmethod
    async def spawn(cls, sock: socket.socket, model: str) -> Self:
        """Start a worker that inherits `sock`. Raises OSError if no process can be started."""
        process = await asyncio.create_subprocess_exec(
            *_COMMAND,
            str(sock.fileno()),
            str(os.getpid()),
            os.pathsep.join(sys.path),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            env=child_environment.child_environment(),
            pass_fds=(sock.fileno(),),
            start_new_session=True,
        )
        return cls(process, model)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def last_output(self) -> tuple[str, ...]:
        """The last lines that it printed."""
        return tuple(self._lines)

    def kill(self) -> None:
        """Send SIGKILL to it and to everything that it started. Does nothing if it has ended."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)

    async def end(self) -> str:
        """Kill it, wait until its memory is freed, and return how it ended, as text."""
        self.kill()
        code = await self._process.wait()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_REAP_S):
                await self._reading
        return describe_exit(code)

    async def _read_output(self) -> None:
        stream = self._process.stderr
        if stream is None:
            return
        partial_line = ""
        while data := await stream.read(65536):
            *lines, partial_line = (partial_line + data.decode("utf-8", "replace")).split("\n")
            for line in lines:
                self._add_line(line)
            partial_line = partial_line[-_LINE_CHARS:]
        self._add_line(partial_line)

    def _add_line(self, line: str) -> None:
        if line := line.strip()[:_LINE_CHARS]:
            self._lines.append(line)
            _log.debug("%s[%d]: %s", self._model, self.pid, line)


def describe_exit(code: int) -> str:
    """Return an exit code as text; negative codes are signals."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
