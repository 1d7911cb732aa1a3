"""The process that runs an unknown chat template; it can be killed whatever the template does.

Reads the template, then one request after another, from standard input; writes an answer to each. The kernel kills it
if one answer takes more than `CPU_S` of CPU time, even within a single C call. Memory is limited where the system
enforces RLIMIT_AS (Linux does, macOS does not). Exits when its standard input ends. Imports only what it needs: an idle
process takes about 20 MB.
"""

import contextlib
import json
import resource
import signal
import struct
import sys
from typing import Any, BinaryIO

from homeport.engines.text.sandbox import (
    ChatTemplateError,
    Run,
    SandboxedTemplate,
    TemplateStopped,
)

CPU_S = 2.0
MEMORY_BYTES = 512 << 20
_HEAD = struct.Struct(">I")


def send(stream: BinaryIO, value: object) -> None:
    """Write one message. JSON in ASCII also carries half a surrogate pair."""
    data = json.dumps(value).encode()
    stream.write(_HEAD.pack(len(data)) + data)
    stream.flush()


def receive(stream: BinaryIO) -> Any:
    """Read one message. Raises EOFError where the stream ends."""
    head = stream.read(_HEAD.size)
    if len(head) < _HEAD.size:
        raise EOFError
    size = _HEAD.unpack(head)[0]
    data = stream.read(size)
    if len(data) < size:
        raise EOFError
    return json.loads(data)


def main() -> None:
    """Serve until standard input ends."""
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)  # whoever started it ends it
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    _limit(resource.RLIMIT_AS, MEMORY_BYTES)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, 0)
    with contextlib.suppress(EOFError, BrokenPipeError):
        _serve(sys.stdin.buffer, sys.stdout.buffer)


def _serve(requests: BinaryIO, answers: BinaryIO) -> None:
    source = receive(requests)
    signal.setitimer(signal.ITIMER_PROF, CPU_S)
    try:
        program = SandboxedTemplate(source)
    except ChatTemplateError as error:
        send(answers, {"refused": str(error)})
        return
    send(answers, {})
    while True:
        signal.setitimer(signal.ITIMER_PROF, 0)
        runs = [Run(*run) for run in receive(requests)]
        signal.setitimer(signal.ITIMER_PROF, CPU_S)
        try:
            answer: dict[str, object] = {"texts": program.render(runs)}
        except TemplateStopped as error:
            send(answers, {"refused": str(error), "stopped": True})
            return  # the memory that it took goes back with the process
        except ChatTemplateError as error:
            answer = {"refused": str(error)}
        send(answers, answer)


def _limit(kind: int, value: int) -> None:
    hard = resource.getrlimit(kind)[1]
    most = value if hard == resource.RLIM_INFINITY else min(value, hard)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(kind, (most, most))
