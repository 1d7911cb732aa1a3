"""The table of failures, and the engine that sleeps."""

from bench.cluster.engine import SleepingEngine
from bench.cluster.model import NAME, request
from bench.cluster.observation import Failure, table
from bench.cluster.traffic import Answer
from homeport.domain.events import Done, TextDelta
from homeport.domain.worker_messages import EngineSpec


def test_failures_before_and_after_the_first_event() -> None:
    """A request that fails without an event counts as failed, and one that fails later as ended in the stream."""
    answers = [Answer(0, 2, 1.5, 9, None), Answer(0, 2, None, 0, "lost"), Answer(0, 3, 0.5, 4, "lost")]
    line = table([Failure("a worker is killed", answers, 2, 1.25)])[-1]
    assert line == "| a worker is killed | 1 | 1 | 1 | 2 | 1.5 | 1.2 |  |"


def test_engine_has_slots() -> None:
    """A step makes one word of as many answers as there are slots; the others wait, and credit ends."""
    engine = SleepingEngine(EngineSpec(NAME, NAME, {}, "1", {"slots": 2}))
    for id in range(3):
        engine.open(id, request(("rules", "question"), 2), credit=2)
    steps = [[(id, type(event)) for id, event in engine._step()] for _ in range(4)]
    words = [[id for id, kind in step if kind is TextDelta] for step in steps]
    assert words == [[0, 1], [0, 1], [2], [2]]
    assert [id for step in steps for id, kind in step if kind is Done] == [0, 1, 2]
