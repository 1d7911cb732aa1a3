"""Writers: what turns the events of one request on a model into the bytes of its response.

Knows nothing of HTTP, admission or accounting: `api/request_runner` calls a writer while the events arrive.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Mapping, Sequence
from enum import Enum, auto
from typing import NamedTuple

from homeport.api.error_responses import envelope
from homeport.api.streaming import PING, sse_event
from homeport.domain.errors import HomeportError
from homeport.domain.events import Admitted, Event, Usage
from homeport.domain.worker_messages import EngineRequest


class Delivery(Enum):
    """When a response is sent, and what an error in the middle of it becomes."""

    WHOLE = auto()
    """When it is complete. Every error is a response of its own."""
    SSE = auto()
    """As server-sent events while they arrive, with comments during silence. An error is the last event."""
    BYTES = auto()
    """As bytes while they arrive. An error closes the connection before the end of the body."""


class AnswerMetadata(NamedTuple):
    """What is known of an answer when its request is admitted.

    `created`: Unix seconds. `model`: the name that the caller asked for. `window`: the loaded model's, in tokens.
    """

    admitted: Admitted
    created: int
    model: str
    fingerprint: str
    window: int | None = None


class Writer(ABC):
    """Makes the bytes of one response.

    `on_admitted` and `opening` are called once, then `write` per batch of events, then `finish` once.

    An answer may need several engine requests, each with its own `on_admitted`. While `has_work` is true at the end of
    one, `work` is called, and then `next_request`; if it is true at the beginning, they come before the first request,
    right after `opening`.

    `ping`: what is sent after silence in a stream of events.

    `usage`: the cost so far, of all engine requests, set before each call; the total cost in `finish`.
    """

    delivery: Delivery = Delivery.WHOLE
    media_type: str = "application/json"
    ping: bytes = PING
    answer: AnswerMetadata
    usage: Usage = Usage()

    def on_admitted(self, answer: AnswerMetadata) -> Mapping[str, str]:
        """Store what is known of the answer; return the headers to add."""
        self.answer = answer
        return {}

    def opening(self) -> bytes:
        """Return the first bytes of the response. Called once; empty for most."""
        return b""

    async def render_error(self, error: HomeportError) -> bytes:
        """Return what reports an error after the first bytes of a stream of events."""
        return sse_event(envelope(error))

    @property
    def has_work(self) -> bool:
        """Whether there is work between the last engine request and the next one, or the end."""
        return False

    async def work(self) -> AsyncGenerator[bytes, None]:
        """Do the work, and yield the bytes that are to be sent meanwhile."""
        return
        yield b""

    async def next_request(self) -> EngineRequest | None:
        """Return the next engine request; None: the answer is complete."""
        return None

    @abstractmethod
    def write(self, events: Sequence[Event]) -> bytes:
        """Return the bytes of a batch of events, which may be empty."""

    @abstractmethod
    async def finish(self) -> bytes:
        """Return what follows the last event: the end of a stream, or the whole body."""


class CollectingWriter(Writer):
    """Collects all events; `finish` makes the whole body."""

    @abstractmethod
    def collect(self, events: Sequence[Event]) -> None:
        """Add a batch of events."""

    def write(self, events: Sequence[Event]) -> bytes:
        """Collect the events; return nothing yet."""
        self.collect(events)
        return b""
