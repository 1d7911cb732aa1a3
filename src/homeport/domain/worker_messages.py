"""The messages between the gateway and one worker. Child processes and remote replicas use the same messages.

Gateway to worker: `OpenRequest`, `GrantCredit`, `Grant`, `CancelRequest`, `Ping`. Worker to gateway: `ModelReady` or
`LoadFailed` once, then `StepEvents` and `Pong`. `id` is the gateway's number for one request and is never reused on a
link. Credit is counted in events, without those in `CREDIT_FREE_EVENTS`: a request without credit pauses until it
gets more.
"""

from pathlib import Path

import msgspec

from homeport.domain.content import Attachment
from homeport.domain.embeddings import EmbeddingRequest
from homeport.domain.errors import ErrorInfo
from homeport.domain.events import Event
from homeport.domain.images import ImageRequest
from homeport.domain.models import EngineStats, LoadedModel
from homeport.domain.moderation import ModerationRequest
from homeport.domain.music import MusicRequest
from homeport.domain.shapes import ShapeRequest
from homeport.domain.speech import SpeechRequest
from homeport.domain.text import TextRequest, TokenRequest
from homeport.domain.transcription import TranscriptionRequest

EngineRequest = (
    TextRequest
    | TokenRequest
    | EmbeddingRequest
    | TranscriptionRequest
    | SpeechRequest
    | ModerationRequest
    | ImageRequest
    | MusicRequest
    | ShapeRequest
)
"""What an engine can be asked for: one struct per kind, distinguished by its tag."""


def concurrent_choices(request: EngineRequest) -> int:
    """Return how many answers grow concurrently: each may add an event in the step that uses up the credit."""
    return len(request.prompts) * max(request.n, request.best_of) if isinstance(request, TextRequest) else 1


class EngineSpec(msgspec.Struct, frozen=True):
    """What a worker loads: engine (a key of `serving.workers.engine_entry_points`), files by role, options."""

    engine: str
    model: str
    files: dict[str, Attachment]
    digest: str
    options: dict[str, str | int | float | bool | None]

    @property
    def paths(self) -> dict[str, Path]:
        """The files on this machine, by role. Raises Unavailable for a blob."""
        return {role: file.local_path for role, file in self.files.items()}


class OpenRequest(msgspec.Struct, frozen=True, array_like=True, tag="open"):
    """Start request `id`, with this much credit. `is_background`: a replica host pauses it while callers wait."""

    id: int
    request: EngineRequest
    credit: int
    is_background: bool = False


class GrantCredit(msgspec.Struct, frozen=True, array_like=True, tag="credit"):
    """The reader took `n` events that cost credit; `n` more may be sent."""

    id: int
    n: int


class Grant(msgspec.Struct, frozen=True, array_like=True, tag="grant"):
    """The reply to `QuotaLow`: `n` more tokens of quota. 0: no more, and the request ends when it is used up."""

    id: int
    n: int


class CancelRequest(msgspec.Struct, frozen=True, array_like=True, tag="cancel"):
    """The caller no longer waits for `id`. Not answered."""

    id: int


class Ping(msgspec.Struct, frozen=True, array_like=True, tag="ping"):
    """Asks whether the worker responds. Its link thread answers with `Pong`."""


class ModelReady(msgspec.Struct, frozen=True, array_like=True, tag="ready"):
    """The model is loaded."""

    loaded: LoadedModel


class LoadFailed(msgspec.Struct, frozen=True, array_like=True, tag="broken"):
    """The model does not load; the process exits after this."""

    fault: ErrorInfo


class StepEvents(msgspec.Struct, frozen=True, array_like=True, tag="step"):
    """The events of one engine step, each with its request's id."""

    events: tuple[tuple[int, Event], ...]


class Pong(msgspec.Struct, frozen=True, array_like=True, tag="pong"):
    """The answer to `Ping`, with the current stats."""

    gauges: EngineStats


WorkerCommand = OpenRequest | GrantCredit | Grant | CancelRequest | Ping
WorkerReply = ModelReady | LoadFailed | StepEvents | Pong
