"""The process that reads documents; it can be killed whatever a document does to it.

Each message on standard input names a file; the reply on standard output is its text, or why there is none. The kernel
kills the process if one document takes too much CPU time, even within a single C call, and it cannot write files.
Memory is limited if the system enforces RLIMIT_AS (Linux does, macOS does not). It exits when its input ends.
"""

import contextlib
import json
import resource
import signal
import struct
import sys
from pathlib import Path
from typing import Any, BinaryIO

from homeport.domain.vector_stores import INVALID_FILE
from homeport.engines.documents.extraction import extract
from homeport.engines.documents.failures import UnreadableDocument

CPU_S = 120.0
MEMORY_BYTES = 1 << 30
_HEAD = struct.Struct(">I")


def main() -> None:
    """Read documents until standard input ends."""
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)  # the parent process ends it
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    for kind, value in ((resource.RLIMIT_AS, MEMORY_BYTES), (resource.RLIMIT_CORE, 0), (resource.RLIMIT_FSIZE, 0)):
        _limit(kind, value)
    goes_on = True
    with contextlib.suppress(EOFError, BrokenPipeError):
        while goes_on:
            message = json.loads(_receive(sys.stdin.buffer))
            signal.setitimer(signal.ITIMER_PROF, CPU_S)
            reply, goes_on = answer(Path(message["path"]), message["name"])
            signal.setitimer(signal.ITIMER_PROF, 0)
            data = json.dumps(reply, ensure_ascii=False).encode("utf-8", "replace")  # half surrogate pairs
            sys.stdout.buffer.write(_HEAD.pack(len(data)) + data)
            sys.stdout.buffer.flush()


def answer(path: Path, name: str) -> tuple[dict[str, Any], bool]:
    """Return the reply for one document, and whether the process can read another one afterwards."""
    try:
        return {"text": extract(path, name)}, True
    except UnreadableDocument as error:
        return {"code": error.code, "message": error.message}, True
    except MemoryError:
        return {"code": INVALID_FILE, "message": "The document needs too much memory."}, False
    except Exception as error:
        # A library raises what it does not document; the document is at fault, and the next one is not.
        return {"code": INVALID_FILE, "message": f"The document cannot be read: {type(error).__name__}."}, False


def _receive(stream: BinaryIO) -> bytes:
    head = stream.read(_HEAD.size)
    if len(head) < _HEAD.size:
        raise EOFError
    return stream.read(_HEAD.unpack(head)[0])


def _limit(kind: int, value: int) -> None:
    hard = resource.getrlimit(kind)[1]
    limit = value if hard == resource.RLIM_INFINITY else min(value, hard)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(kind, (limit, limit))
