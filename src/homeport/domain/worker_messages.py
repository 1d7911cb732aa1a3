"""The messages between the gateway and one worker. The seam that child processes and Ray replicas share.

Gateway to worker: `Open`, `Credit`, `Grant`, `Cancel`, `Ping`. Worker to gateway: `Ready` or `Broken` once, then `Step`
and `Pong`. `id` is the gateway's number for one request and is never used twice on a link.
Credit is counted in events (but for the `FREE` ones): a request out of credit is not stepped until it gets more.
"""

from pathlib import Path

import msgspec

from homeport.domain.embeddings import EmbeddingRequest
from homeport.domain.errors import Fault
from homeport.domain.events import Event
from homeport.domain.images import ImageRequest
from homeport.domain.models import Gauges, Loaded
from homeport.domain.moderation import ModerationRequest
from homeport.domain.speech import SpeechRequest
from homeport.domain.text import TextRequest, TokenRequest
from homeport.domain.transcription import TranscriptionRequest

Request = (
    TextRequest
    | TokenRequest
    | EmbeddingRequest
    | TranscriptionRequest
    | SpeechRequest
    | ModerationRequest
    | ImageRequest
)
"""What an engine may be asked for: one struct per kind, told apart by its tag."""


def width(request: Request) -> int:
    """How many answers grow side by side: each may bring an event in the step that used the credit up."""
    return len(request.prompts) * max(request.n, request.best_of) if isinstance(request, TextRequest) else 1


class Job(msgspec.Struct, frozen=True):
    """What a worker is started with: which engine (a key of `serving.engines`), which files, which options."""

    engine: str
    model: str
    files: dict[str, Path]
    digest: str
    options: dict[str, str | int | float | bool | None]


class Open(msgspec.Struct, frozen=True, array_like=True, tag="open"):
    """Begin request `id`, with this much credit."""

    id: int
    request: Request
    credit: int


class Credit(msgspec.Struct, frozen=True, array_like=True, tag="credit"):
    """The reader took `n` events that cost credit; as many more may be sent."""

    id: int
    n: int


class Grant(msgspec.Struct, frozen=True, array_like=True, tag="grant"):
    """The answer to `QuotaLow`: `n` more tokens of quota. 0: there is no more, the request ends where it is used up."""

    id: int
    n: int


class Cancel(msgspec.Struct, frozen=True, array_like=True, tag="cancel"):
    """Nobody waits for `id` any more. Nothing is answered."""

    id: int


class Ping(msgspec.Struct, frozen=True, array_like=True, tag="ping"):
    """Are you alive? Answered by `Pong` from the worker's link thread."""


class Ready(msgspec.Struct, frozen=True, array_like=True, tag="ready"):
    """The model is loaded."""

    loaded: Loaded


class Broken(msgspec.Struct, frozen=True, array_like=True, tag="broken"):
    """The model does not load; the process exits after this."""

    fault: Fault


class Step(msgspec.Struct, frozen=True, array_like=True, tag="step"):
    """The events of one engine step, each with its request's id."""

    events: tuple[tuple[int, Event], ...]


class Pong(msgspec.Struct, frozen=True, array_like=True, tag="pong"):
    """Alive, and this is how it stands."""

    gauges: Gauges


Downstream = Open | Credit | Grant | Cancel | Ping
Upstream = Ready | Broken | Step | Pong
