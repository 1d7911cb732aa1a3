"""The process that runs an unknown chat template; it can be killed whatever the template does.

It reads the template, then one request after another, from standard input, and writes a reply to each. The kernel kills
it if one reply takes more than `CPU_S` of CPU time, even within a single C call. Memory is limited if the system
enforces RLIMIT_AS (Linux does, macOS does not). It exits when its standard input ends, and imports only what it needs:
an idle process takes about 20 MB.
"""

import contextlib
import json
import resource
import signal
import struct
import sys
from typing import Any, BinaryIO

from homeport.engines.text.template_sandbox import (
    ChatTemplateError,
    Run,
    SandboxedTemplate,
    TemplateStopped,
)

CPU_S = 2.0
MEMORY_BYTES = 512 << 20
_HEAD = struct.Struct(">I")


def send(stream: BinaryIO, value: object) -> None:
    """Write one message. ASCII JSON can also contain half a surrogate pair."""
    data = json.dumps(value).encode()
    stream.write(_HEAD.pack(len(data)) + data)
    stream.flush()


def receive(stream: BinaryIO) -> Any:
    """Read one message. Raises EOFError if the stream ends."""
    head = stream.read(_HEAD.size)
    if len(head) < _HEAD.size:
        raise EOFError
    size = _HEAD.unpack(head)[0]
    data = stream.read(size)
    if len(data) < size:
        raise EOFError
    return json.loads(data)


def main() -> None:
    """Process requests until standard input ends."""
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)  # the parent process ends it
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    _limit(resource.RLIMIT_AS, MEMORY_BYTES)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, 0)
    with contextlib.suppress(EOFError, BrokenPipeError):
        _serve(sys.stdin.buffer, sys.stdout.buffer)


def _serve(requests: BinaryIO, replies: BinaryIO) -> None:
    source = receive(requests)
    signal.setitimer(signal.ITIMER_PROF, CPU_S)
    try:
        program = SandboxedTemplate(source)
    except ChatTemplateError as error:
        send(replies, {"refused": str(error)})
        return
    send(replies, {})
    while True:
        signal.setitimer(signal.ITIMER_PROF, 0)
        runs = [Run(*run) for run in receive(requests)]
        signal.setitimer(signal.ITIMER_PROF, CPU_S)
        try:
            reply: dict[str, object] = {"texts": program.render(runs)}
        except TemplateStopped as error:
            send(replies, {"refused": str(error), "stopped": True})
            return  # the process ends, which frees its memory
        except ChatTemplateError as error:
            reply = {"refused": str(error)}
        send(replies, reply)


def _limit(kind: int, value: int) -> None:
    hard = resource.getrlimit(kind)[1]
    limit = value if hard == resource.RLIM_INFINITY else min(value, hard)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(kind, (limit, limit))
