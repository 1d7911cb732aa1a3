"""Requests are prepared beside each other: short ones pass long ones, and what nobody waits for is left."""

import threading
from collections.abc import Callable, Iterator

import pytest

from homeport.domain.content import text_message
from homeport.domain.errors import InvalidRequest
from homeport.domain.events import Admitted, Done, Tokenised, Usage
from homeport.domain.text import ChatPrompt, TextPrompt, TextRequest, TokenPrompt, TokenRequest
from homeport.engines.text.prompt_processor import PreparedPrompts, weight
from homeport.engines.text.request_queue import LONG, Abandoned, RequestQueue
from homeport.engines.text.sampling import LogitBias

NOTHING = PreparedPrompts((), LogitBias.of({}), (), ())
SHORT = TextRequest((TextPrompt("x"),))
LONGS = TextRequest((TextPrompt("x" * LONG),))


class Desk:
    """Prepares nothing; a long request waits until `go`, asking its check as it does."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.begun = threading.Event()
        self.abandoned = threading.Event()
        self.intake = RequestQueue(self.prepare)

    def prepare(self, request: TextRequest | TokenRequest, check: Callable[[], None]) -> PreparedPrompts:
        if request is not LONGS:
            return NOTHING
        self.begun.set()
        while not self.go.wait(0.001):
            try:
                check()
            except Abandoned:
                self.abandoned.set()
                raise
        return NOTHING

    def arrived(self) -> list[int]:
        news = self.intake.take_updates(wait=True)
        assert news is not None
        return [arrival.id for arrival in news.prepared]


@pytest.fixture
def desk() -> Iterator[Desk]:
    found = Desk()
    found.intake.start()
    yield found
    found.intake.close()
    found.intake.join()


def test_short_requests_pass_long_ones(desk: Desk) -> None:
    """A short request that comes while a long one is prepared arrives before it; each keeps its credit."""
    desk.intake.open(1, LONGS, credit=5)
    assert desk.begun.wait(10)
    desk.intake.open(2, SHORT, credit=5)
    assert desk.arrived() == [2]
    desk.intake.open(3, SHORT, credit=5)
    assert desk.arrived() == [3]
    desk.intake.credit(1, 2)
    desk.go.set()
    news = desk.intake.take_updates(wait=True)
    assert news is not None
    assert [(arrival.id, arrival.credit) for arrival in news.prepared] == [(1, 7)]


def test_a_cancelled_request_is_no_longer_prepared(desk: Desk) -> None:
    """Who leaves while his request is prepared has that ended; the next long one follows, and nothing is told of it."""
    desk.intake.open(1, LONGS, credit=5)
    assert desk.begun.wait(10)
    desk.intake.cancel(1)
    assert desk.abandoned.wait(10)
    desk.go.set()
    desk.intake.open(2, LONGS, credit=5)
    assert desk.arrived() == [2]
    assert desk.intake.open_ids() == [2]


def test_closing_ends_what_is_prepared() -> None:
    """Nobody waits for a long preparation at the end."""
    desk = Desk()
    desk.intake.start()
    desk.intake.open(1, LONGS, credit=5)
    assert desk.begun.wait(10)
    desk.intake.close()
    desk.intake.join()
    assert desk.abandoned.is_set()


def test_faults_are_told(caplog: pytest.LogCaptureFixture) -> None:
    """What preparing raises becomes a refusal; a bug of ours is logged."""

    def prepare(request: TextRequest | TokenRequest, _: Callable[[], None]) -> PreparedPrompts:
        raise InvalidRequest("no") if request is SHORT else RuntimeError("a bug")

    intake = RequestQueue(prepare)
    intake.start()
    told = []
    for id, request in ((1, SHORT), (2, LONGS)):
        intake.open(id, request, credit=1)
        news = intake.take_updates(wait=True)
        assert news is not None
        told += [(refused, fault.kind) for refused, fault in news.rejected]
    intake.close()
    intake.join()
    assert told == [(1, "InvalidRequest"), (2, "EngineFailed")]
    assert "could not be prepared" in caplog.text


def test_long_is_what_takes_long() -> None:
    """Characters, messages, prompts and token ids all weigh."""
    assert weight(SHORT) < weight(TextRequest((ChatPrompt((text_message("user", "x"),) * 600),))) >= LONG
    assert weight(TextRequest((TokenPrompt((1,) * LONG),))) >= LONG
    assert weight(TextRequest((TextPrompt("x"),) * 600)) >= LONG


def test_what_preparing_answers_needs_no_step() -> None:
    """Token ids that were asked for are told at once, and the id is free again."""
    found = Tokenised((1, 2))
    intake = RequestQueue(lambda _, __: found)
    intake.start()
    intake.open(1, TokenRequest((TextPrompt("x"),)), credit=1)
    news = intake.take_updates(wait=True)
    assert news is not None
    assert news.ended() == [(1, Admitted(0)), (1, found), (1, Done(Usage()))]
    assert intake.open_ids() == []
    intake.close()
    intake.join()
