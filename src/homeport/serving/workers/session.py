"""One worker process from its start to its exit: launch, requests, heartbeat. Never restarts; `supervisor` does.

Knows nothing of leases or of why a model is needed.
"""

import asyncio
import logging
import socket
from typing import Self

from homeport.domain.errors import EngineFailed, HomeportError, Unavailable
from homeport.serving.options import ServingOptions
from homeport.serving.workers.child_process import ChildProcess
from homeport.serving.workers.frames import LaunchMessage
from homeport.serving.workers.link import WorkerLink
from homeport.serving.workers.link_session import LinkSession

_log = logging.getLogger(__name__)

_STOPPED = "it was unloaded"


class WorkerSession(LinkSession):
    """A worker process and the streams on it. `loaded` may be read once `launch` has returned."""

    def __init__(self, model: str, options: ServingOptions) -> None:
        super().__init__(model, options)
        self._child: ChildProcess | None = None

    @classmethod
    async def launch(cls, message: LaunchMessage, options: ServingOptions) -> Self:
        """Start a worker and wait until its model is loaded.

        Raises Unavailable (or the engine's own error) if it does not load in time; then nothing is left running.
        """
        session = cls(message.spec.model, options)
        try:
            await session._start(message)
            async with asyncio.timeout(options.load_limit_s):
                session.loaded = await asyncio.shield(session._ready)
        except TimeoutError as error:
            await session.stop()
            raise Unavailable(f"{message.spec.model} was not loaded within {options.load_limit_s:g} s.") from error
        except OSError as error:
            await session.stop()
            raise Unavailable(f"No worker can be started for {message.spec.model}: {error}") from error
        except BaseException:
            await session.stop()
            raise
        return session

    @property
    def pid(self) -> int | None:
        """The worker's process id."""
        return None if self._child is None else self._child.pid

    async def stop(self) -> None:
        """End the worker and wait until its memory is freed. Open streams fail."""
        self._end(_STOPPED)
        await self.wait_ended()

    async def _start(self, message: LaunchMessage) -> None:
        ours, theirs = socket.socketpair()
        try:
            self._child = await ChildProcess.spawn(theirs, self._model)
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        self._watch_task = asyncio.create_task(self._watch(self._child))
        try:
            self._link = await WorkerLink.connect(ours, self._on_message, self._end, message.frame_bytes)
        except BaseException:
            ours.close()
            raise
        self._link.send(message)

    def _stream_error(self, reason: str) -> HomeportError:
        return EngineFailed(f"The model's worker stopped ({reason})." if reason else "The model's worker stopped.")

    async def _watch(self, child: ChildProcess) -> HomeportError:
        """Supervise the worker until it ends, then clean up."""
        reason = await self._supervise()
        exit_reason = await child.end()
        if not self._ready.done():
            self._ready.set_exception(Unavailable(f"{self._model} does not load: its worker ended with {exit_reason}."))
        self._ready.exception()  # mark the exception as retrieved, in case nothing waits for it
        level = logging.DEBUG if reason == _STOPPED else logging.ERROR
        _log.log(
            level,
            "Worker %d of %s ended with %s: %s\n%s",
            child.pid,
            self._model,
            exit_reason,
            reason,
            _format_output(child),
        )
        return EngineFailed(f"The model's worker stopped ({reason}; {exit_reason}).")


def _format_output(child: ChildProcess) -> str:
    return "\n".join(child.last_output)
