"""The process of one model job: started with one line of input, it answers lines of JSON and ends.

It is killed with all processes that it started at the end of the block, and ends itself if this process dies, because
its standard input ends. Knows nothing of what it does.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Mapping, Sequence

import msgspec

from homeport.domain.model_jobs import TaskEvent

_LINE_BYTES = 1 << 20


@contextlib.asynccontextmanager
async def run_child(
    command: Sequence[str], line: bytes, environment: Mapping[str, str]
) -> AsyncIterator[AsyncIterator[TaskEvent]]:
    """Start a process in a session of its own and send it a line. Inside the block its events arrive."""
    child = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=dict(environment),
        start_new_session=True,
        limit=_LINE_BYTES,
    )
    try:
        if child.stdin is not None:
            with contextlib.suppress(ConnectionError):  # it ended early, which its missing events show
                child.stdin.write(line + b"\n")
                await child.stdin.drain()
        yield _events(child.stdout)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        await child.wait()


async def _events(lines: asyncio.StreamReader | None) -> AsyncIterator[TaskEvent]:
    while lines is not None and (line := await lines.readline()):
        yield msgspec.json.decode(line, type=TaskEvent)
