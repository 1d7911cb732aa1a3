"""The process that reads documents, as the server sees it: started when it is needed, killed when it takes too long.

Implements `domain.ports.vector_stores.TextExtractor`. Knows nothing of types of documents.
"""

import asyncio
import contextlib
import json
import os
import struct
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, TypeVar, cast

import msgspec

from homeport.domain import child_environment
from homeport.domain.errors import InvalidRequest, Unavailable
from homeport.domain.vector_stores import INVALID_FILE

T = TypeVar("T")

WAIT_S = 300.0
"""The wall-clock time of one document: on a busy machine, two minutes of CPU time may take long."""
READER = "homeport.engines.documents.worker"
"""The module that reads documents. Only its process imports it."""
_BOOT = "import os, sys; sys.path[:] = sys.argv.pop().split(os.pathsep); from {} import main; main()"
_HEAD = struct.Struct(">I")
_KILL_INTERVAL_S = 0.05


class _Reply(msgspec.Struct):
    text: str = ""
    code: str | None = None
    message: str = ""


class DocumentProcess:
    """Reads documents in one child process, one after the other. `reader`: the module whose `main` it runs.

    A thread of its own starts the process, waits for it and reaps it. So nothing is left of it, whenever the task that
    waits for a document is cancelled.
    """

    def __init__(self, reader: str = READER, wait_s: float = WAIT_S) -> None:
        self._reader = reader
        self._wait_s = wait_s
        self._turn = asyncio.Lock()
        self._thread = ThreadPoolExecutor(1, "documents")
        self._child: subprocess.Popen[bytes] | None = None

    async def extract(self, path: Path, filename: str) -> str:
        """Return the text of a document.

        Raises InvalidRequest whose code is one of `IndexingError`, and Unavailable if no process can be started.
        """
        async with self._turn:
            try:
                async with asyncio.timeout(self._wait_s):
                    reply = await self._run(lambda: self._ask(path, filename))
            except TimeoutError as error:
                raise InvalidRequest("Reading the document takes too long.", code=INVALID_FILE) from error
            except (EOFError, OSError) as error:
                raise InvalidRequest(
                    "Reading the document takes too much time or memory.", code=INVALID_FILE
                ) from error
        if reply.code is not None:
            raise InvalidRequest(reply.message, code=reply.code)
        return reply.text

    async def close(self) -> None:
        """End the process; the next document starts another one. Safe to call twice."""
        async with self._turn:
            if self._child is not None:
                await self._run(self._end)

    async def _run(self, work: Callable[[], T]) -> T:
        """Run `work` in the thread. If this task is cancelled, or out of time, the process is killed first."""
        running = asyncio.get_running_loop().run_in_executor(self._thread, work)
        try:
            return await asyncio.shield(running)
        except (TimeoutError, asyncio.CancelledError):
            while not running.done():  # the process may only be starting
                self._kill()
                await asyncio.wait({running}, timeout=_KILL_INTERVAL_S)
            with contextlib.suppress(Exception):
                running.result()
            raise

    def _ask(self, path: Path, filename: str) -> _Reply:
        """Have a document read. Raises EOFError or OSError if the process ends instead of replying; it is then gone."""
        is_used = self._child is not None
        try:
            try:
                return self._exchange(path, filename)
            except (EOFError, OSError):
                self._end()
                if not is_used:
                    raise
                return self._exchange(path, filename)  # it may have ended after the last document
        except BaseException:
            self._end()
            raise

    def _exchange(self, path: Path, filename: str) -> _Reply:
        child = self._child or self._start()
        requests, replies = cast("BinaryIO", child.stdin), cast("BinaryIO", child.stdout)
        message = json.dumps({"path": str(path), "name": filename}).encode()
        requests.write(_HEAD.pack(len(message)) + message)
        requests.flush()
        size = _HEAD.unpack(_read(replies, _HEAD.size))[0]
        return msgspec.json.decode(_read(replies, size), type=_Reply)

    def _start(self) -> subprocess.Popen[bytes]:
        path = os.pathsep.join(each for each in sys.path if each)
        try:
            self._child = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _BOOT.format(self._reader), path],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=child_environment.child_environment(),
            )
        except OSError as error:
            raise Unavailable(f"The process that reads documents cannot be started: {error}") from error
        return self._child

    def _kill(self) -> None:
        if (child := self._child) is not None:
            child.kill()

    def _end(self) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        child.kill()
        child.wait()
        for stream in (child.stdin, child.stdout):
            with contextlib.suppress(OSError):  # unsent data does not matter
                cast("BinaryIO", stream).close()


def _read(stream: BinaryIO, size: int) -> bytes:
    """Return the next bytes of a stream. Raises EOFError if it ends."""
    data = stream.read(size)
    if len(data) < size:
        raise EOFError
    return data
