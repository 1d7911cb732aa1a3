"""A host's end of the link to one gateway: relays its requests to the worker, and their events back.

The events of one engine step leave in one frame. Knows nothing of other gateways, nor of how the worker is kept alive.
"""

import logging
from collections.abc import Callable
from typing import Protocol

import msgspec

from homeport.cluster.blob_folder import BlobFolder
from homeport.cluster.messages import (
    NOT_TAKEN,
    BeginBlob,
    BlobChunk,
    DropBlob,
    OtherRequests,
    ReplicaCommand,
    ReplicaStatus,
)
from homeport.cluster.relayed_request import RelayedRequest
from homeport.domain.errors import HomeportError, Unavailable
from homeport.domain.events import Event, Failed
from homeport.domain.models import EngineStats, LoadedModel
from homeport.domain.worker_messages import (
    CancelRequest,
    Grant,
    GrantCredit,
    ModelReady,
    OpenRequest,
    Ping,
    Pong,
    StepEvents,
)
from homeport.serving.background_requests import BackgroundRequests
from homeport.serving.workers.link import FrameLink
from homeport.serving.workers.link_session import LinkSession

_log = logging.getLogger(__name__)


class Relay(Protocol):
    """What a gateway's link needs of its host."""

    @property
    def session(self) -> LinkSession | None:
        """The worker that takes requests now, if one does."""
        ...

    @property
    def background(self) -> BackgroundRequests:
        """Pauses background requests while any gateway's callers wait."""
        ...

    @property
    def running(self) -> int:
        """The requests of all gateways."""
        ...

    @property
    def stats(self) -> EngineStats:
        """The worker's latest stats."""
        ...

    def has_events(self, link: "GatewayLink") -> None:
        """Note that a link has events of the current step to send."""
        ...

    def publish(self) -> None:
        """Tell all gateways the state of the worker, if it has changed."""
        ...


class GatewayLink:
    """The requests of one gateway. `link` is set before the first message; `on_end` is called when a request ends."""

    link: FrameLink[ReplicaCommand]

    def __init__(self, name: str, model: str, relay: Relay, blobs: BlobFolder, on_end: Callable[[], None]) -> None:
        self.name = name
        self.silent_s = 0.0
        self._model = model
        self._relay = relay
        self._blobs = blobs
        self._on_end = on_end
        self._requests: dict[int, RelayedRequest] = {}
        self._events: list[tuple[int, Event]] = []
        self._status: ReplicaStatus | None = None
        self._others = 0
        self._is_ready = False

    @property
    def running(self) -> int:
        """The requests that have not ended."""
        return len(self._requests)

    def on_message(self, message: ReplicaCommand) -> None:
        """Handle one message of the gateway."""
        self.silent_s = 0.0
        if isinstance(message, GrantCredit):
            if request := self._requests.get(message.id):
                request.credit(message.n)
        elif isinstance(message, OpenRequest):
            self._open(message)
        elif isinstance(message, CancelRequest):
            if request := self._requests.get(message.id):
                request.cancel()
        elif isinstance(message, Grant):
            if request := self._requests.get(message.id):
                request.grant(message.n)
        elif isinstance(message, Ping):
            self._answer_ping()
        elif isinstance(message, BeginBlob):
            self._blobs.begin(message)
        elif isinstance(message, BlobChunk):
            self._blobs.write(message)
        elif isinstance(message, DropBlob):
            self._blobs.drop(message.blob)

    def announce(self, status: ReplicaStatus, loaded: LoadedModel | None) -> None:
        """Tell the gateway the replica's state, if it has changed, and that the model is loaded, once."""
        if status != self._status:
            self._status = status
            self.link.send(status)
        if loaded is not None and not self._is_ready:
            self._is_ready = True
            self.link.send(ModelReady(loaded))

    def add(self, id: int, event: Event) -> None:
        """Add one event of the current step."""
        if not self._events:
            self._relay.has_events(self)
        self._events.append((id, event))

    def send_now(self, id: int, event: Event) -> None:
        """Send one event outside any step, after the replica's state: so that no request is sent here in its place."""
        self._relay.publish()
        self.link.send(StepEvents(((id, event),)))

    def flush(self) -> None:
        """Send the events of the current step."""
        events, self._events = self._events, []
        self.link.send(StepEvents(tuple(events)))

    def close(self) -> None:
        """Cancel all requests, and remove all files. The caller closes the link."""
        for request in tuple(self._requests.values()):
            request.cancel()
        self._blobs.close()

    def _answer_ping(self) -> None:
        self.link.send(Pong(self._relay.stats))
        others = self._relay.running - self.running
        if others != self._others:
            self._others = others
            self.link.send(OtherRequests(others))

    def _open(self, message: OpenRequest) -> None:
        blobs = self._blobs.names(message.request)
        self._blobs.hold(blobs)
        try:
            self._start(message, lambda: self._blobs.release(blobs))
        except HomeportError as error:
            self._blobs.release(blobs)
            self.send_now(message.id, Failed(error.info))

    def _start(self, message: OpenRequest, release: Callable[[], None]) -> None:
        session = self._relay.session
        if session is None or message.id in self._requests:
            raise Unavailable(f"The replica of {self._model} takes no requests now.", code=NOT_TAKEN)
        request = self._blobs.localize(message.request)
        background = self._relay.background
        foreground = None if message.is_background else background.add_foreground()

        def on_end() -> None:
            del self._requests[message.id]
            release()
            if foreground is not None:
                foreground.finish()
            self._on_end()

        relayed = RelayedRequest(message.id, self._model, session, self, on_end)
        credit = relayed.initial_credit(message.credit, is_paused=message.is_background)
        try:
            session.start(
                msgspec.structs.replace(message, id=relayed.worker_id, request=request, credit=credit), relayed
            )
        except HomeportError:
            if foreground is not None:
                foreground.finish()
            raise
        self._requests[message.id] = relayed
        if foreground is not None:
            relayed.on_first = foreground.on_first_event
        else:
            background.track(relayed)
