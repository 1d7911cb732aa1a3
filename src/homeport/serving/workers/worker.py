"""The child process that holds one model: loads its engine by name, then moves frames between engine and gateway.

Threads: the main thread loads the engine and runs it; the link's thread receives. Knows nothing of what an engine does.
The process never outlives the gateway: when the socket closes, the link's thread ends it whatever the main thread is
doing, and on Linux the kernel kills it (even if it is stopped, or native code holds the interpreter).
"""

import ctypes
import faulthandler
import importlib
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from typing import cast

from homeport.domain.errors import (
    EngineFailed,
    HomeportError,
    PayloadTooLarge,
    Unavailable,
)
from homeport.domain.events import Event, Failed
from homeport.domain.models import EngineStats
from homeport.domain.ports.engine import Engine
from homeport.domain.worker_messages import (
    CancelRequest,
    EngineSpec,
    Grant,
    GrantCredit,
    LoadFailed,
    ModelReady,
    OpenRequest,
    Ping,
    Pong,
    StepEvents,
    WorkerCommand,
)
from homeport.serving.workers.frames import (
    MAX_COMMAND_BYTES,
    STEP_BYTES,
    FrameChannel,
    FrameReader,
    LaunchMessage,
    LinkBroken,
)

_log = logging.getLogger(__name__)

LOAD_FAILED = 3
"""Exit code after `LoadFailed`."""
LINK_FAILED = 4
"""Exit code after frames that do not decode."""

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def _die_with_parent(parent: int) -> None:
    """Let the kernel kill this process when the gateway ends (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


def _isolate_process() -> None:
    """Leave signals to the gateway, and keep the output of native code out of the gateway's output."""
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)
    os.dup2(2, 1)
    faulthandler.enable()
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")


def load(launch: LaunchMessage) -> Engine:
    """Import the entry point and load the model. Raises what the engine raises; Unavailable for a wrong name."""
    module, _, function = launch.entry.partition(":")
    try:
        loader = cast(Callable[[EngineSpec], Engine], getattr(importlib.import_module(module), function))
    except (ImportError, AttributeError, ValueError) as error:
        raise Unavailable(f"The engine {launch.spec.engine!r} ({launch.entry}) does not import: {error}") from error
    return loader(launch.spec)


class Worker:
    """Moves frames between one engine and the gateway."""

    def __init__(self, channel: FrameChannel) -> None:
        self._channel = channel
        self._engine: Engine | None = None

    def serve(self, engine: Engine) -> None:
        """Report that the model is loaded, and run the engine until it is closed."""
        self._engine = engine
        self._channel.send(ModelReady(engine.loaded))
        engine.run(self.emit)

    def emit(self, events: Sequence[tuple[int, Event]]) -> None:
        """Send the events of one engine step: in one frame, or in several if it is large."""
        if not events:
            return
        try:
            self._send(events)
        except OSError:
            os._exit(0)  # the gateway has ended

    def _send(self, events: Sequence[tuple[int, Event]]) -> None:
        try:
            self._channel.send(StepEvents(tuple(events)), STEP_BYTES if len(events) > 1 else None)
        except PayloadTooLarge as error:
            if len(events) > 1:
                middle = len(events) // 2
                self._send(events[:middle])
                self._send(events[middle:])
                return
            id = events[0][0]
            self._require_engine().cancel(id)
            self._channel.send(StepEvents(((id, Failed(EngineFailed(error.message).info)),)))

    def read_commands(self, frame_bytes: int) -> None:
        """Read frames until the gateway has ended. Runs in the link's thread."""
        reader: FrameReader[WorkerCommand] = FrameReader(WorkerCommand, frame_bytes)
        try:
            while (message := self._channel.receive(reader)) is not None:
                self._handle(message)
        except LinkBroken:
            _log.exception("The link to the gateway broke")
            os._exit(LINK_FAILED)
        except BaseException:
            _log.exception("The link's thread failed")
            os._exit(1)
        os._exit(0)

    def _handle(self, message: WorkerCommand) -> None:
        if isinstance(message, Ping):
            self._channel.send(Pong(EngineStats() if self._engine is None else self._engine.stats()))
        elif isinstance(message, OpenRequest):
            self._open(message)
        elif isinstance(message, GrantCredit):
            self._require_engine().credit(message.id, message.n)
        elif isinstance(message, Grant):
            self._require_engine().grant(message.id, message.n)
        elif isinstance(message, CancelRequest):
            self._require_engine().cancel(message.id)

    def _open(self, message: OpenRequest) -> None:
        try:
            self._require_engine().open(message.id, message.request, message.credit)
        except HomeportError as error:
            self.emit(((message.id, Failed(error.info)),))
        except Exception as error:
            _log.exception("The engine failed to take request %d", message.id)
            self.emit(((message.id, Failed(EngineFailed(_describe_error(error)).info)),))

    def _require_engine(self) -> Engine:
        if self._engine is None:
            raise LinkBroken("a request came before the model was loaded")
        return self._engine


def main(arguments: Sequence[str]) -> int:
    """Run one worker. Arguments: the number of the inherited socket and the gateway's process id."""
    fd, parent = int(arguments[0]), int(arguments[1])
    _die_with_parent(parent)
    _isolate_process()
    os.set_inheritable(fd, False)
    channel = FrameChannel(socket.socket(fileno=fd))
    launches: FrameReader[LaunchMessage] = FrameReader(LaunchMessage, MAX_COMMAND_BYTES)
    launch = channel.receive(launches)
    if launch is None:
        return 0
    worker = Worker(channel)
    threading.Thread(target=worker.read_commands, args=(launch.frame_bytes,), name="link", daemon=True).start()
    try:
        engine = load(launch)
    except Exception as error:
        _log.exception("The model %s does not load", launch.spec.model)
        fault = error.info if isinstance(error, HomeportError) else Unavailable(_describe_error(error)).info
        channel.send(LoadFailed(fault))
        return LOAD_FAILED
    worker.serve(engine)
    return 0


def _describe_error(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def run_and_exit(arguments: Sequence[str]) -> None:
    """Run a worker and exit without unloading native libraries: some hang there, and the exit frees everything."""
    try:
        code = main(arguments)
    except BaseException:
        _log.exception("The worker failed")
        code = 1
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    run_and_exit(sys.argv[1:])
