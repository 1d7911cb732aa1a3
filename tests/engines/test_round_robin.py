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


def asked(text: str = "two") -> EmbeddingRequest:
    return EmbeddingRequest((TextPrompt(text),))


class EngineDriver:
    """An engine on a thread of its own, and what it told."""

    def __init__(self, begin: Begin) -> None:
        self.ended = threading.Event()
        self.told: list[tuple[int, Event]] = []
        self.heard = threading.Condition()
        self.engine = RoundRobinEngine(
            LoadedModel("tiny", "none"), EmbeddingRequest, GeneratorWork(begin, self.ended.set)
        )
        self.thread = threading.Thread(target=self.engine.run, args=(self.emit,))
        self.thread.start()

    def emit(self, events: Sequence[tuple[int, Event]]) -> None:
        with self.heard:
            self.told += events
            self.heard.notify_all()

    def wait(self, until: Callable[[list[tuple[int, Event]]], bool]) -> None:
        with self.heard:
            assert self.heard.wait_for(lambda: until(self.told), 10), self.told

    def wait_end(self, id: int) -> None:
        self.wait(lambda told: any(each == id and isinstance(event, Done | Failed) for each, event in told))


@pytest.fixture
def desks() -> Iterator[Callable[[Begin], EngineDriver]]:
    made: list[EngineDriver] = []

    def make(begin: Begin) -> EngineDriver:
        made.append(EngineDriver(begin))
        return made[-1]

    yield make
    for desk in made:
        desk.engine.close()
        desk.thread.join(10)
        assert desk.ended.is_set()


def vector(index: int) -> EmbeddingVectors:
    return EmbeddingVectors(index, 1, 1, b"\0\0\x80?")


def three(turn: ActiveRequest[EmbeddingRequest]) -> Iterator[Event]:
    yield Admitted(4)
    for index in range(3):
        yield vector(index)
    yield Done(Usage(4))


def test_a_turn_tells_its_events_in_order(desks: Callable[[Begin], EngineDriver]) -> None:
    """What the generator gives is what is told, and the gauges count it."""
    desk = desks(three)
    desk.engine.open(1, asked(), 8)
    desk.wait_end(1)
    assert desk.told == [(1, event) for event in three(ActiveRequest(1, asked(), 8))]
    desk.engine.close()
    desk.thread.join(10)
    gauges = desk.engine.stats()
    assert (gauges.running, gauges.waiting, gauges.prompt_tokens, gauges.steps) == (0, 0, 4, 5)


def test_a_chunk_of_work_may_bring_nothing_to_tell(desks: Callable[[Begin], EngineDriver]) -> None:
    """None is a chunk of work like any other, between which others get their turns, and is told to nobody."""

    def begin(turn: ActiveRequest[EmbeddingRequest]) -> Iterator[Event | None]:
        for event in three(turn):
            yield None
            yield event

    desk = desks(begin)
    desk.engine.open(1, asked(), 8)
    desk.wait_end(1)
    assert desk.told == [(1, event) for event in three(ActiveRequest(1, asked(), 8))]


def test_turns_are_worked_on_in_rounds(desks: Callable[[Begin], EngineDriver]) -> None:
    """A request that comes beside a long one gets its answer long before that one ends."""
    both = threading.Event()

    def begin(turn: ActiveRequest[EmbeddingRequest]) -> Iterator[Event]:
        both.wait(10)
        if turn.id == 2:
            yield from three(turn)
        else:
            yield Admitted(1)
            yield from (vector(index) for index in range(50))
            yield Done(Usage(1))

    desk = desks(begin)
    desk.engine.open(1, asked(), 99)
    desk.engine.open(2, asked(), 99)
    both.set()
    desk.wait_end(1)
    assert [id for id, event in desk.told if isinstance(event, Done)] == [2, 1]


def test_no_credit_no_work(desks: Callable[[Begin], EngineDriver]) -> None:
    """A turn without credit rests while others are worked on, and goes on with more of it."""
    desk = desks(three)
    desk.engine.open(1, asked(), 1)
    desk.wait(lambda told: (1, vector(0)) in told)
    desk.engine.open(2, asked(), 8)
    desk.wait_end(2)
    assert (1, vector(1)) not in desk.told
    desk.engine.credit(1, 8)
    desk.wait_end(1)


def test_cancelling_closes_the_work(desks: Callable[[Begin], EngineDriver]) -> None:
    """A cancelled turn's generator is closed, so that it frees what it holds, and nothing more is told of it."""
    freed = threading.Event()

    def begin(turn: ActiveRequest[EmbeddingRequest]) -> Iterator[Event]:
        try:
            yield Admitted(1)
            while True:
                yield vector(0)
        finally:
            freed.set()

    desk = desks(begin)
    desk.engine.open(1, asked(), 3)
    desk.wait(lambda told: len(told) == 4)
    desk.engine.cancel(1)
    assert freed.wait(10)
    desk.engine.open(2, asked(), 1)
    desk.wait(lambda told: (2, vector(0)) in told)
    assert len([id for id, _ in desk.told if id == 1]) == 4


def test_errors_end_one_turn_only(desks: Callable[[Begin], EngineDriver]) -> None:
    """What a turn raises is its own failure: ours by name, a bug as the engine's; the next turn is worked on."""

    def begin(turn: ActiveRequest[EmbeddingRequest]) -> Iterator[Event]:
        yield Admitted(1)
        match turn.id:
            case 1:
                raise InvalidRequest("no", param="input")
            case 2:
                raise KeyError("a bug")
            case 3:
                return
        yield Done(Usage(1))

    desk = desks(begin)
    for id in (1, 2, 3, 4):
        desk.engine.open(id, asked(), 3)
        desk.wait_end(id)
    ends = [event for _, event in desk.told if not isinstance(event, Admitted)]
    kinds = [event.fault.kind if isinstance(event, Failed) else "" for event in ends]
    assert kinds == ["InvalidRequest", "EngineFailed", "EngineFailed", ""]


def test_another_kind_of_request_is_refused(desks: Callable[[Begin], EngineDriver]) -> None:
    """A text request that reaches an engine of another kind is an invalid request, not a breakdown."""
    with pytest.raises(InvalidRequest, match="tiny cannot be used for this"):
        desks(three).engine.open(1, TextRequest((TextPrompt("x"),)), 1)
