import threading
from collections.abc import Callable, Iterator, Sequence

import pytest

from homeport.domain.embeddings import EmbeddingRequest
from homeport.domain.errors import InvalidRequest
from homeport.domain.events import (
    Admitted,
    Done,
    EmbeddingVectors,
    Event,
    Failed,
    Usage,
)
from homeport.domain.models import LoadedModel
from homeport.domain.text import TextPrompt, TextRequest
from homeport.engines.round_robin import ActiveRequest, GeneratorWork, RoundRobinEngine

Begin = Callable[[ActiveRequest[EmbeddingRequest]], Iterator[Event | None]]


def embedding_request(text: str = "two") -> EmbeddingRequest:
    return EmbeddingRequest((TextPrompt(text),))


class EngineDriver:
    """Runs an engine in a thread and records its events."""

    def __init__(self, begin: Begin) -> None:
        self.ended = threading.Event()
        self.emitted: list[tuple[int, Event]] = []
        self.changed = threading.Condition()
        self.engine = RoundRobinEngine(
            LoadedModel("tiny", "none"), EmbeddingRequest, GeneratorWork(begin, self.ended.set)
        )
        self.thread = threading.Thread(target=self.engine.run, args=(self.emit,))
        self.thread.start()

    def emit(self, events: Sequence[tuple[int, Event]]) -> None:
        with self.changed:
            self.emitted += events
            self.changed.notify_all()

    def wait(self, until: Callable[[list[tuple[int, Event]]], bool]) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: until(self.emitted), 10), self.emitted

    def wait_end(self, id: int) -> None:
        self.wait(lambda emitted: any(each == id and isinstance(event, Done | Failed) for each, event in emitted))


@pytest.fixture
def start_engine() -> Iterator[Callable[[Begin], EngineDriver]]:
    drivers: list[EngineDriver] = []

    def start(begin: Begin) -> EngineDriver:
        drivers.append(EngineDriver(begin))
        return drivers[-1]

    yield start
    for driver in drivers:
        driver.engine.close()
        driver.thread.join(10)
        assert driver.ended.is_set()


def vector(index: int) -> EmbeddingVectors:
    return EmbeddingVectors(index, 1, 1, b"\0\0\x80?")


def three_vectors(active: ActiveRequest[EmbeddingRequest]) -> Iterator[Event]:
    yield Admitted(4)
    for index in range(3):
        yield vector(index)
    yield Done(Usage(4))


def test_events_are_emitted_in_order(start_engine: Callable[[Begin], EngineDriver]) -> None:
    """The generator's events are emitted in order, and the stats count them."""
    driver = start_engine(three_vectors)
    driver.engine.open(1, embedding_request(), 8)
    driver.wait_end(1)
    assert driver.emitted == [(1, event) for event in three_vectors(ActiveRequest(1, embedding_request(), 8))]
    driver.engine.close()
    driver.thread.join(10)
    stats = driver.engine.stats()
    assert (stats.running, stats.waiting, stats.prompt_tokens, stats.steps) == (0, 0, 4, 5)


def test_a_chunk_of_work_may_have_no_event(start_engine: Callable[[Begin], EngineDriver]) -> None:
    """None is a chunk of work, after which others get their turn, and is not emitted."""

    def begin(active: ActiveRequest[EmbeddingRequest]) -> Iterator[Event | None]:
        for event in three_vectors(active):
            yield None
            yield event

    driver = start_engine(begin)
    driver.engine.open(1, embedding_request(), 8)
    driver.wait_end(1)
    assert driver.emitted == [(1, event) for event in three_vectors(ActiveRequest(1, embedding_request(), 8))]


def test_requests_are_computed_in_turn(start_engine: Callable[[Begin], EngineDriver]) -> None:
    """A request that arrives after a long one is answered long before that one ends."""
    both = threading.Event()

    def begin(active: ActiveRequest[EmbeddingRequest]) -> Iterator[Event]:
        both.wait(10)
        if active.id == 2:
            yield from three_vectors(active)
        else:
            yield Admitted(1)
            yield from (vector(index) for index in range(50))
            yield Done(Usage(1))

    driver = start_engine(begin)
    driver.engine.open(1, embedding_request(), 99)
    driver.engine.open(2, embedding_request(), 99)
    both.set()
    driver.wait_end(1)
    assert [id for id, event in driver.emitted if isinstance(event, Done)] == [2, 1]


def test_no_credit_no_work(start_engine: Callable[[Begin], EngineDriver]) -> None:
    """A request without credit pauses while others are computed, and continues with more of it."""
    driver = start_engine(three_vectors)
    driver.engine.open(1, embedding_request(), 1)
    driver.wait(lambda emitted: (1, vector(0)) in emitted)
    driver.engine.open(2, embedding_request(), 8)
    driver.wait_end(2)
    assert (1, vector(1)) not in driver.emitted
    driver.engine.credit(1, 8)
    driver.wait_end(1)


def test_canceling_closes_the_work(start_engine: Callable[[Begin], EngineDriver]) -> None:
    """A canceled request's generator is closed, so that it frees its resources, and emits nothing more."""
    freed = threading.Event()

    def begin(active: ActiveRequest[EmbeddingRequest]) -> Iterator[Event]:
        try:
            yield Admitted(1)
            while True:
                yield vector(0)
        finally:
            freed.set()

    driver = start_engine(begin)
    driver.engine.open(1, embedding_request(), 3)
    driver.wait(lambda emitted: len(emitted) == 4)
    driver.engine.cancel(1)
    assert freed.wait(10)
    driver.engine.open(2, embedding_request(), 1)
    driver.wait(lambda emitted: (2, vector(0)) in emitted)
    assert len([id for id, _ in driver.emitted if id == 1]) == 4


def test_errors_end_one_request_only(start_engine: Callable[[Begin], EngineDriver]) -> None:
    """A known error is the request's failure, any other one an engine failure; the next request is computed."""

    def begin(active: ActiveRequest[EmbeddingRequest]) -> Iterator[Event]:
        yield Admitted(1)
        match active.id:
            case 1:
                raise InvalidRequest("no", param="input")
            case 2:
                raise KeyError("a bug")
            case 3:
                return
        yield Done(Usage(1))

    driver = start_engine(begin)
    for id in (1, 2, 3, 4):
        driver.engine.open(id, embedding_request(), 3)
        driver.wait_end(id)
    ends = [event for _, event in driver.emitted if not isinstance(event, Admitted)]
    kinds = [event.fault.kind if isinstance(event, Failed) else "" for event in ends]
    assert kinds == ["InvalidRequest", "EngineFailed", "EngineFailed", ""]


def test_another_kind_of_request_is_refused(start_engine: Callable[[Begin], EngineDriver]) -> None:
    """A text request to an engine of another kind is an invalid request."""
    with pytest.raises(InvalidRequest, match="tiny cannot be used for this"):
        start_engine(three_vectors).engine.open(1, TextRequest((TextPrompt("x"),)), 1)
