"""Runs an images engine in a thread of the test, and collects its events by request."""

import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Self

from homeport.domain.errors import ErrorInfo
from homeport.domain.events import (
    Admitted,
    Done,
    Event,
    Failed,
    GeneratedImage,
    ImageProgress,
)
from homeport.domain.images import ImageRequest
from homeport.domain.ports.engine import Engine

DEADLINE_S = 90.0


class ImageEvents:
    """The events of one request."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    @property
    def is_over(self) -> bool:
        """Whether the request has ended."""
        return bool(self.events) and isinstance(self.events[-1], Done | Failed)

    @property
    def is_admitted(self) -> bool:
        """Whether the request was admitted."""
        return any(isinstance(event, Admitted) for event in self.events)

    @property
    def images(self) -> list[GeneratedImage]:
        """The finished images."""
        return [event for event in self.events if isinstance(event, GeneratedImage) and event.partial is None]

    @property
    def partials(self) -> list[GeneratedImage]:
        """The unfinished images."""
        return [event for event in self.events if isinstance(event, GeneratedImage) and event.partial is not None]

    @property
    def progress(self) -> list[ImageProgress]:
        """The progress events."""
        return [event for event in self.events if isinstance(event, ImageProgress)]

    @property
    def error(self) -> ErrorInfo:
        """The error, if it failed."""
        last = self.events[-1]
        assert isinstance(last, Failed), last
        return last.fault


class ImageEngineRunner:
    """Runs an engine. `ask` opens a request and waits for its end; `open` does not wait."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.by_request: dict[int, ImageEvents] = defaultdict(ImageEvents)
        self._changed = threading.Condition()
        self._ids = 0
        self._thread = threading.Thread(target=engine.run, args=(self._emit,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.engine.close()
        self._thread.join(DEADLINE_S)
        assert not self._thread.is_alive()

    def open(self, request: ImageRequest) -> int:
        """Open a request; return its id."""
        self._ids += 1
        self.engine.open(self._ids, request, 1000)
        return self._ids

    def wait(self, id: int) -> ImageEvents:
        """Wait for a request's end."""
        self.until(lambda: self.by_request[id].is_over)
        return self.by_request[id]

    def until(self, holds: Callable[[], bool]) -> None:
        """Wait until a condition holds; it is checked at every event."""
        with self._changed:
            assert self._changed.wait_for(holds, DEADLINE_S), {
                id: by_request.events for id, by_request in self.by_request.items()
            }

    def ask(self, request: ImageRequest) -> ImageEvents:
        """Open a request and wait for its end."""
        return self.wait(self.open(request))

    def _emit(self, events: Sequence[tuple[int, Event]]) -> None:
        with self._changed:
            for id, event in events:
                self.by_request[id].events.append(event)
            self._changed.notify_all()
