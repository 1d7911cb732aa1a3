"""Open requests of an engine that computes vectors, and the events that each has got."""

from homeport.domain.embeddings import EmbeddingRequest
from homeport.domain.events import Done, Event, Failed
from homeport.engines.round_robin import ActiveRequest, EngineWork


class RequestDriver:
    """Sends requests to an engine's work, and takes its steps."""

    def __init__(self, work: EngineWork[EmbeddingRequest]) -> None:
        self.work = work
        self.active: dict[int, ActiveRequest[EmbeddingRequest]] = {}
        self.events: dict[int, list[Event]] = {}

    def send(self, request: EmbeddingRequest) -> int:
        """Open a request; return its id."""
        id = len(self.events) + 1
        self.active[id] = ActiveRequest(id, request, credit=100)
        self.events[id] = []
        return id

    def step(self) -> None:
        """Take one step; what has ended is dropped."""
        for id, event in self.work.step(list(self.active.values())):
            self.events[id].append(event)
            if isinstance(event, Done | Failed):
                self.drop(id)

    def drop(self, id: int) -> None:
        """Drop a request."""
        del self.active[id]
        self.work.drop(id)

    def finish(self) -> None:
        """Take steps until every request has ended."""
        for _ in range(200):
            if not self.active:
                return
            self.step()
        raise AssertionError(f"these do not end: {list(self.active)}")
