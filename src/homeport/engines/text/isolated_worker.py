"""The child's side of `isolated_process`: messages on standard input and output, and limits on time and memory.

The kernel kills the process if one reply takes too much CPU time, even within a single C call. Memory is limited if the
system enforces RLIMIT_AS (Linux does, macOS does not). It exits when its standard input ends. Imports only what it
needs: an idle process takes about 20 MB.
"""

import contextlib
import json
import resource
import signal
import struct
import sys
from collections.abc import Callable
from typing import Any, BinaryIO

CPU_S = 2.0
MEMORY_BYTES = 512 << 20
_HEAD = struct.Struct(">I")

Reply = dict[str, object]


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


def serve(
    answer: Callable[[Any], tuple[Reply, bool]], cpu_s: float = CPU_S, *, first_cpu_s: float | None = None
) -> None:
    """Answer each message with a reply, until the input ends or `answer` returns False with it.

    `cpu_s`: the CPU time of one reply; `first_cpu_s`: that of the first one, if it differs.
    """
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)  # the parent process ends it
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    _limit(resource.RLIMIT_AS, MEMORY_BYTES)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, 0)
    limit_s = cpu_s if first_cpu_s is None else first_cpu_s
    goes_on = True
    with contextlib.suppress(EOFError, BrokenPipeError):
        while goes_on:
            message = receive(sys.stdin.buffer)
            signal.setitimer(signal.ITIMER_PROF, limit_s)
            reply, goes_on = answer(message)
            send(sys.stdout.buffer, reply)
            signal.setitimer(signal.ITIMER_PROF, 0)
            limit_s = cpu_s


def _limit(kind: int, value: int) -> None:
    hard = resource.getrlimit(kind)[1]
    limit = value if hard == resource.RLIM_INFINITY else min(value, hard)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(kind, (limit, limit))
