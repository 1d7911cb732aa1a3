"""The messages between a gateway and a replica's host: those of a worker's link, and a few more.

Gateway to host: also `BeginBlob`, `BlobChunk` and `DropBlob`, which bring the files that requests name. Host to
gateway: also `ReplicaStatus`, first of all and whenever it changes, and `OtherRequests`. `ModelReady` follows once the
model is loaded.
"""

import msgspec

from homeport.domain.operations import WorkerReport
from homeport.domain.worker_messages import ModelReady, Pong, StepEvents, WorkerCommand

LINK_VERSION = 1
"""Changes with every change of these messages or of those in `domain`: both sides must agree."""

WORKER_LOST = "worker_lost"
"""Code of a request's error: the replica's worker ended before the request did."""
LINK_LOST = "link_lost"
"""Code of a request's error: the link to the replica ended before the request did."""
NOT_TAKEN = "not_taken"
"""Code of a request's error: the replica takes no requests now, and nothing of this one was computed."""

CHUNK_BYTES = 1024 * 1024
"""The most bytes of a blob in one message."""
FRAME_MARGIN = 64 * 1024
"""How much larger a frame may be on this link than on a worker's: ids and names differ."""


class BeginBlob(msgspec.Struct, frozen=True, array_like=True, tag="blob"):
    """A file of `size` bytes follows in chunks; `OpenRequest` names it by `blob`, which is unique on a link.

    `sha256`: what its bytes must hash to; empty: not checked. It is removed when the request that names it has ended,
    or, if `is_kept`, at `DropBlob`.
    """

    blob: str
    size: int
    sha256: str = ""
    is_kept: bool = False


class BlobChunk(msgspec.Struct, frozen=True, array_like=True, tag="chunk"):
    """The next bytes of a blob."""

    blob: str
    data: bytes


class DropBlob(msgspec.Struct, frozen=True, array_like=True, tag="drop"):
    """No further request names this blob."""

    blob: str


class ReplicaStatus(msgspec.Struct, frozen=True, array_like=True, tag="status"):
    """The state of a replica. `accepts`: it takes new requests. `frame_bytes`: the largest message that it reads."""

    report: WorkerReport
    accepts: bool
    is_draining: bool
    frame_bytes: int


class OtherRequests(msgspec.Struct, frozen=True, array_like=True, tag="others"):
    """How many requests other gateways have on this replica now. Sent with a `Pong` if it has changed."""

    count: int


ReplicaCommand = WorkerCommand | BeginBlob | BlobChunk | DropBlob
ReplicaReply = ModelReady | StepEvents | Pong | ReplicaStatus | OtherRequests
