"""Requests are prepared concurrently: short ones overtake long ones, and canceled ones are abandoned."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from homeport.domain.content import Attachment, ImagePart, Message, text_message
from homeport.domain.errors import InvalidRequest
from homeport.domain.events import Admitted, Done, TokenizeResult, Usage
from homeport.domain.text import ChatPrompt, TextPrompt, TextRequest, TokenPrompt, TokenRequest
from homeport.engines.text.prepared_prompt import PreparedPrompts
from homeport.engines.text.prompt_texts import estimate_work
from homeport.engines.text.request_queue import LONG, Abandoned, RequestQueue
from homeport.engines.text.sampling import LogitBias

DEADLINE_S = 10.0
NOTHING = PreparedPrompts((), LogitBias.of({}), (), ())
SHORT = TextRequest((TextPrompt("x"),))
LONG_REQUEST = TextRequest((TextPrompt("x" * LONG),))


class QueueUnderTest:
    """A queue that prepares nothing; a long request waits until `go` and calls its check meanwhile."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.started = threading.Event()
        self.abandoned = threading.Event()
        self.queue = RequestQueue(self.prepare)

    def prepare(self, request: TextRequest | TokenRequest, check: Callable[[], None]) -> PreparedPrompts:
        if request is not LONG_REQUEST:
            return NOTHING
        self.started.set()
        while not self.go.wait(0.001):
            try:
                check()
            except Abandoned:
                self.abandoned.set()
                raise
        return NOTHING

    def arrived(self) -> list[int]:
        updates = self.queue.take_updates(wait=True)
        assert updates is not None
        return [arrival.id for arrival in updates.prepared]


@pytest.fixture
def tested() -> Iterator[QueueUnderTest]:
    found = QueueUnderTest()
    found.queue.start()
    yield found
    found.queue.close()
    found.queue.join()


def test_short_requests_overtake_long_ones(tested: QueueUnderTest) -> None:
    """A short request that arrives while a long one is prepared is ready before it; each keeps its credit."""
    tested.queue.open(1, LONG_REQUEST, credit=5)
    assert tested.started.wait(10)
    tested.queue.open(2, SHORT, credit=5)
    assert tested.arrived() == [2]
    tested.queue.open(3, SHORT, credit=5)
    assert tested.arrived() == [3]
    tested.queue.credit(1, 2)
    tested.go.set()
    updates = tested.queue.take_updates(wait=True)
    assert updates is not None
    assert [(arrival.id, arrival.credit) for arrival in updates.prepared] == [(1, 7)]


def test_texts_overtake_pictures() -> None:
    """A request with a picture delays neither short nor long requests, and they do not delay it."""
    go, prepared = threading.Event(), threading.Semaphore(0)
    picture = ImagePart(Attachment(Path("picture.png")))

    def prepare(request: TextRequest | TokenRequest, _: Callable[[], None]) -> PreparedPrompts:
        if request is not SHORT and request is not LONG_REQUEST:
            go.wait()
        prepared.release()
        return NOTHING

    queue = RequestQueue(prepare)
    queue.start()
    try:
        queue.open(1, TextRequest((ChatPrompt((Message("user", (picture,)),)),)), 1)
        queue.open(2, SHORT, 1)
        queue.open(3, LONG_REQUEST, 1)
        assert prepared.acquire(timeout=DEADLINE_S)
        assert prepared.acquire(timeout=DEADLINE_S)
        assert queue.waiting == 1
        go.set()
        assert prepared.acquire(timeout=DEADLINE_S)
    finally:
        go.set()
        queue.close()
        queue.join()


def test_a_canceled_request_is_no_longer_prepared(tested: QueueUnderTest) -> None:
    """Preparing a canceled request ends, without events; the next long one follows."""
    tested.queue.open(1, LONG_REQUEST, credit=5)
    assert tested.started.wait(10)
    tested.queue.cancel(1)
    assert tested.abandoned.wait(10)
    tested.go.set()
    tested.queue.open(2, LONG_REQUEST, credit=5)
    assert tested.arrived() == [2]
    assert tested.queue.open_ids() == [2]


def test_closing_ends_the_preparation() -> None:
    """Closing ends a long preparation."""
    tested = QueueUnderTest()
    tested.queue.start()
    tested.queue.open(1, LONG_REQUEST, credit=5)
    assert tested.started.wait(10)
    tested.queue.close()
    tested.queue.join()
    assert tested.abandoned.is_set()


def test_errors_reject_the_request(caplog: pytest.LogCaptureFixture) -> None:
    """An error in preparing rejects the request; an unexpected one is logged."""

    def prepare(request: TextRequest | TokenRequest, _: Callable[[], None]) -> PreparedPrompts:
        raise InvalidRequest("no") if request is SHORT else RuntimeError("a bug")

    queue = RequestQueue(prepare)
    queue.start()
    rejected = []
    for id, request in ((1, SHORT), (2, LONG_REQUEST)):
        queue.open(id, request, credit=1)
        updates = queue.take_updates(wait=True)
        assert updates is not None
        rejected += [(refused, fault.kind) for refused, fault in updates.rejected]
    queue.close()
    queue.join()
    assert rejected == [(1, "InvalidRequest"), (2, "EngineFailed")]
    assert "could not be prepared" in caplog.text


def test_everything_that_takes_time_counts() -> None:
    """Characters, messages, prompts and token ids all count."""
    assert estimate_work(SHORT) < estimate_work(TextRequest((ChatPrompt((text_message("user", "x"),) * 600),))) >= LONG
    assert estimate_work(TextRequest((TokenPrompt((1,) * LONG),))) >= LONG
    assert estimate_work(TextRequest((TextPrompt("x"),) * 600)) >= LONG


def test_token_requests_need_no_step() -> None:
    """A token request is answered at once, and its id is free again."""
    found = TokenizeResult((1, 2))
    queue = RequestQueue(lambda _, __: found)
    queue.start()
    queue.open(1, TokenRequest((TextPrompt("x"),)), credit=1)
    updates = queue.take_updates(wait=True)
    assert updates is not None
    assert updates.ended() == [(1, Admitted(0)), (1, found), (1, Done(Usage()))]
    assert queue.open_ids() == []
    queue.close()
    queue.join()
