"""The process that encodes media: it can be killed whatever a picture does to a decoder or to llama.cpp.

The first message names the files and is answered with the facts about the projector. Each further one names a file to
read, which is answered with what stands for it in a prompt, or asks for the embeddings of the file read last, which
follow the answer as bytes. It ends when its input does, even while it computes.
"""

import contextlib
import os
import queue
import resource
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import msgspec

from homeport.domain.errors import HomeportError, InvalidRequest
from homeport.engines.llama.library import kernels
from homeport.engines.llama.mtmd import Projector
from homeport.engines.text.isolated_worker import Reply, receive, send
from homeport.engines.text.media import pictures, sounds

_NICENESS = 10
"""The text worker's threads wait for each other many times a token: those that encode leave the processors to them."""

_Message = dict[str, Any]


class _Worker:
    def __init__(self) -> None:
        self._projector: Projector | None = None

    def answer(self, message: _Message) -> tuple[Reply, bytes]:
        """Return a reply, and the bytes that follow it. An error is a reply too."""
        try:
            if self._projector is None:
                return self._load(message), b""
            if "file" in message:
                return self._read(self._projector, message), b""
            rows = self._projector.encode()
            return {"bytes": len(rows)}, rows
        except HomeportError as error:
            return {"error": msgspec.to_builtins(error.info)}, b""

    def _load(self, message: _Message) -> Reply:
        projector = Projector(
            kernels(None), Path(message["weights"]), Path(message["projector"]), int(message["threads"])
        )
        self._projector = projector
        return {"width": projector.width, "sees": projector.sees, "hears": projector.hears}

    def _read(self, projector: Projector, message: _Message) -> Reply:
        is_sound = message["detail"] == sounds.SOUND
        if not (projector.hears if is_sound else projector.sees):
            kind = "hear" if is_sound else "see"
            raise InvalidRequest(
                f"This model's projector does not {kind}.", param=message["param"], code="unsupported_content_type"
            )
        if is_sound:
            samples = sounds.read_sound(Path(message["file"]), projector.sample_rate, message["param"])
            return {"pieces": msgspec.to_builtins(projector.read_sound(samples))}
        with pictures.open_picture(Path(message["file"]), message["detail"], message["param"]) as image:
            pieces = projector.read_picture(image.width, image.height, image.tobytes())
        return {"pieces": msgspec.to_builtins(pieces)}


def main() -> None:
    """Process requests until standard input ends."""
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)  # the parent process ends it
    for limit in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE):
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(limit, (0, 0))
    with contextlib.suppress(OSError):
        os.nice(_NICENESS)
    messages: queue.SimpleQueue[_Message] = queue.SimpleQueue()
    threading.Thread(target=_receive_all, args=(messages,), daemon=True).start()
    worker = _Worker()
    with contextlib.suppress(BrokenPipeError):
        while True:
            reply, data = worker.answer(messages.get())
            send(sys.stdout.buffer, reply)
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()


def _receive_all(messages: "queue.SimpleQueue[_Message]") -> None:
    """Read messages; end the process with its input, whatever the other threads do."""
    with contextlib.suppress(EOFError, OSError):
        while True:
            messages.put(receive(sys.stdin.buffer))
    os._exit(0)
