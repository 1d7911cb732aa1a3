"""A child process that runs a library which cannot be interrupted: it loads one model and obeys commands.

Killing it stops its work at once and frees its memory. Messages are msgpack over a pipe that separates them. Knows
nothing of what is loaded or generated.
"""

import ctypes
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from types import MappingProxyType
from typing import Generic, TypeVar

import msgspec

from homeport.domain import child_environment
from homeport.domain.errors import EngineFailed

_POLL_S = 0.5
_RESPONSE_TIMEOUT_S = 3600.0
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_encoder = msgspec.msgpack.Encoder()

Reply = TypeVar("Reply")
Command = TypeVar("Command")
Model = TypeVar("Model")


class Failure(msgspec.Struct, frozen=True, tag="failure"):
    """A command failed; after a failed load the process ends."""

    reason: str


class ModelProcess(Generic[Reply]):
    """One process and the pipe to it. It runs `main` of the module `module`.

    `decoder` reads its replies. `variables`: of its environment, beside those of this process. Closing the pipe, or the
    end of this process, ends it.
    """

    def __init__(
        self,
        module: str,
        decoder: "msgspec.msgpack.Decoder[Reply]",
        variables: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        boot = f"import os, sys; sys.path[:] = sys.argv.pop().split(os.pathsep); from {module} import main; main()"
        self._name = module.rsplit(".", 1)[-1]
        self._decoder = decoder
        self._pipe, child_end = Pipe()
        with child_end:
            command = [sys.executable, "-P", "-c", boot, str(child_end.fileno()), os.pathsep.join(sys.path)]
            self._process = subprocess.Popen(
                command,
                pass_fds=(child_end.fileno(),),
                stdin=subprocess.DEVNULL,
                env={**child_environment.child_environment(), **variables},
            )

    def send(self, command: msgspec.Struct) -> None:
        """Send a command. Raises EngineFailed if the process has ended."""
        try:
            self._pipe.send_bytes(_encoder.encode(command))
        except OSError as error:
            raise self._ended() from error

    def replies(self) -> Iterator[Reply | None]:
        """Iterate over replies; None after each half second without one. Raises EngineFailed if it ends or hangs."""
        silent_s = 0.0
        while silent_s < _RESPONSE_TIMEOUT_S:
            try:
                reply = self._decoder.decode(self._pipe.recv_bytes()) if self._pipe.poll(_POLL_S) else None
            except (EOFError, OSError) as error:
                raise self._ended() from error
            silent_s = 0.0 if reply else silent_s + _POLL_S
            yield reply
        raise EngineFailed(f"The {self._name} process did not respond for {_RESPONSE_TIMEOUT_S:g} s.")

    def kill(self) -> None:
        """Kill it and wait until its memory is free."""
        self._process.kill()
        self._process.wait()
        self._pipe.close()

    def _ended(self) -> EngineFailed:
        return EngineFailed(f"The {self._name} process ended with exit code {self._process.wait()}.")


class Interrupt(msgspec.Struct, frozen=True, tag="interrupt"):
    """Stop the command that runs, as soon as it looks at `ReplyPipe.is_interrupted`. It is no command of its own."""


class ReplyPipe:
    """The child's end of the pipe, for its replies. `is_interrupted` is set from another thread."""

    def __init__(self, pipe: "Connection[bytes, bytes]") -> None:
        self._pipe = pipe
        self.is_interrupted = False

    def send(self, reply: msgspec.Struct) -> None:
        """Send one reply."""
        self._pipe.send_bytes(_encoder.encode(reply))


def run_commands(
    decoder: "msgspec.msgpack.Decoder[Command]",
    load: Callable[[Command, ReplyPipe], Model],
    run: Callable[[Model, Command], None],
) -> None:
    """Run commands until the parent process ends; `main` of a child process calls it.

    The first command is passed to `load`, whose result is the model; later ones to `run`. What they raise is answered
    with `Failure`. The process's argument is the file descriptor of the inherited pipe.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    os.dup2(2, 1)  # native code's output goes to standard error
    pipe: Connection[bytes, bytes] = Connection(int(sys.argv[1]))
    replies = ReplyPipe(pipe)
    commands: queue.SimpleQueue[Command] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(pipe, decoder, commands, replies), daemon=True).start()
    try:
        model = load(commands.get(), replies)
    except Exception as error:
        replies.send(Failure(f"{type(error).__name__}: {error}"))
        os._exit(1)
    while True:
        command = commands.get()
        try:
            run(model, command)
        except Exception as error:
            replies.send(Failure(f"{type(error).__name__}: {error}"))


def _listen(
    pipe: "Connection[bytes, bytes]",
    decoder: "msgspec.msgpack.Decoder[Command]",
    commands: "queue.SimpleQueue[Command]",
    replies: ReplyPipe,
) -> None:
    """Queue commands, note interrupts; end the process at once when the parent process ends.

    The flag is lowered before the next command is queued, and so before it can run.
    """
    try:
        while True:
            command = decoder.decode(pipe.recv_bytes())
            replies.is_interrupted = isinstance(command, Interrupt)
            if not replies.is_interrupted:
                commands.put(command)
    except (EOFError, OSError):
        os._exit(0)
