"""Background responses end exactly once, whatever happens meanwhile; the server that answers is a script."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from homeport.domain.errors import (
    Conflict,
    EngineFailed,
    HomeportError,
    InvalidRequest,
    Overloaded,
    QuotaExceeded,
    Unavailable,
)
from homeport.serving.responses import event_buffer, run, runner
from tests.serving.conftest import until
from tests.serving.responses.scripts import CALL, MESSAGE, RunnerFixture, answer, event

NEVER = asyncio.Event()
N_EVENTS = len(answer())
ALL_TYPES = ["created", "queued", *(each.type.removeprefix("response.") for each in answer()[1:])]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retry at once, so that no test waits."""
    monkeypatch.setattr(run, "_SQL_RETRY_S", 0.001)
    monkeypatch.setattr(run, "_FIRST_RETRY_S", 0.001)
    monkeypatch.setattr(run, "_MAX_RETRY_S", 0.002)
    monkeypatch.setattr(event_buffer, "_INTERVAL_S", 0.001)
    monkeypatch.setattr(runner, "_POLL_INTERVAL_S", 0.01)
    monkeypatch.setattr(runner, "RENEW_INTERVAL_S", 0.01)


@pytest.fixture
async def fixture() -> AsyncIterator[RunnerFixture]:
    """A repository and a dispatcher; its runner ends with the test."""
    made = RunnerFixture()
    yield made
    await made.kill()


def items_of(fixture: RunnerFixture) -> list[object]:
    """Return the items that are stored of the response's output."""
    return [json.loads(item.body) for item in fixture.repository.responses["resp_1"].output]


async def test_a_response_is_run_and_stored(fixture: RunnerFixture) -> None:
    """Its events follow on the first two, and it is stored as the last of them says, under its own id and times."""
    fixture.start()
    fixture.accept()
    ended = await fixture.ended()
    assert ended.status == "completed"
    assert fixture.types() == ALL_TYPES
    body = json.loads(ended.body)
    assert (body["id"], body["created_at"], body["background"], body["store"]) == ("resp_1", 7, True, True)
    assert (body["status"], body["output"], body["usage"]) == ("completed", [], {"total_tokens": 4})
    assert items_of(fixture) == [MESSAGE, CALL]
    last = json.loads(fixture.repository.events["resp_1"][-1].body)
    assert last["response"] == {**body, "output": [MESSAGE, CALL]}
    assert fixture.repository.ends == ["resp_1"]
    await until(lambda: fixture.signals.is_running("resp_1") is False)


async def test_texts_are_stored_as_they_were_sent(fixture: RunnerFixture) -> None:
    """Only its number changes in an event, whatever its text holds."""
    fixture.start()
    fixture.accept()
    await fixture.ended()
    sent, stored = answer()[3:6], fixture.repository.events["resp_1"][4:7]
    assert [json.loads(each.body)["delta"] for each in sent] == [json.loads(each.body)["delta"] for each in stored]
    assert [each.body.replace(f":{each.number}", ":N", 1) for each in stored] == [
        each.body.replace(f":{each.number}", ":N", 1) for each in sent
    ]


@pytest.mark.parametrize("end", ["incomplete", "failed"])
async def test_an_answer_may_end_otherwise(fixture: RunnerFixture, end: str) -> None:
    """A response that is cut or fails while it is answered is stored with that status, and what follows its end too."""
    fixture.dispatcher.script = lambda response: [*answer(response.id, end), event(N_EVENTS, "error", message="x")]
    fixture.start()
    fixture.accept()
    assert (await fixture.ended()).status == end
    assert fixture.types()[-2:] == [end, "error"]


@pytest.mark.parametrize("n_played", range(N_EVENTS))
async def test_a_killed_response_ends(fixture: RunnerFixture, n_played: int) -> None:
    """After a kill at any event a response is run again if none of its answer is stored, and else has failed."""
    fixture.dispatcher.script = lambda response: [*answer(response.id)[:n_played], asyncio.Event()]
    fixture.start()
    fixture.accept()
    n_stored = 2 + max(0, n_played - 1)
    await until(lambda: fixture.dispatcher.asked and len(fixture.repository.events["resp_1"]) == n_stored)
    await fixture.kill()
    fixture.dispatcher.script = lambda response: answer(response.id)
    fixture.start()
    ended = await fixture.ended()
    assert fixture.repository.ends == ["resp_1"]
    if n_played <= 2:
        assert (ended.status, fixture.types()) == ("completed", ALL_TYPES)
        return
    assert (ended.status, fixture.types()) == ("failed", [*ALL_TYPES[:n_stored], "failed"])
    assert len(fixture.dispatcher.asked) == 1
    body = json.loads(ended.body)
    assert body["error"] == {"code": "server_error", "message": "The server stopped while it answered."}
    assert (body["status"], body["model"]) == ("failed", "m")
    assert items_of(fixture) == [MESSAGE, CALL][: (n_played > 6) + (n_played > 8)]


@pytest.mark.parametrize("n_calls", range(10))
async def test_a_kill_between_any_two_writes_leaves_nothing_half_done(fixture: RunnerFixture, n_calls: int) -> None:
    """A server that dies before any of its calls to the database leaves a response that ends once, with all numbers."""
    fixture.accept()
    fixture.repository.left = n_calls
    fixture.start()
    await until(lambda: fixture.repository.left == 0 or fixture.repository.ends)
    await asyncio.sleep(0)
    await fixture.kill()
    fixture.start()
    ended = await fixture.ended()
    assert fixture.repository.ends == ["resp_1"]
    assert ended.status in ("completed", "failed")
    assert fixture.types()[-1] == ended.status


@pytest.mark.parametrize("n_played", range(N_EVENTS))
@pytest.mark.parametrize("is_here", [True, False])
async def test_a_response_is_cancelled_at_any_moment(fixture: RunnerFixture, n_played: int, is_here: bool) -> None:
    """A cancelled response ends its request and keeps its complete items, also if another process cancels it."""
    fixture.dispatcher.script = lambda response: [*answer(response.id)[:n_played], asyncio.Event()]
    fixture.start()
    fixture.accept()
    await until(lambda: fixture.dispatcher.asked and fixture.dispatcher.reached == n_played)
    fixture.repository.cancel("one", "resp_1")
    if is_here:
        fixture.signals.cancel("resp_1")
    ended = await fixture.ended()
    assert (ended.status, fixture.dispatcher.open) == ("cancelled", 0)
    assert fixture.types() == [*ALL_TYPES[: 2 + max(0, n_played - 1)], "incomplete"]
    assert json.loads(fixture.repository.events["resp_1"][-1].body)["response"]["status"] == "cancelled"
    assert items_of(fixture) == [MESSAGE, CALL][: (n_played > 6) + (n_played > 8)]
    assert fixture.repository.ends == ["resp_1"]


async def test_an_ended_answer_is_not_cancelled(fixture: RunnerFixture) -> None:
    """A response whose last event has arrived is stored as that says, though it is cancelled before it is stored."""
    fixture.dispatcher.script = lambda response: [*answer(response.id), asyncio.Event()]
    fixture.start()
    fixture.accept()
    await until(lambda: fixture.dispatcher.reached == N_EVENTS)
    fixture.signals.cancel("resp_1")
    assert (await fixture.ended()).status == "completed"


async def test_a_response_that_was_cancelled_before_a_restart_is_cancelled(fixture: RunnerFixture) -> None:
    """A response that nobody could end before the server died is cancelled by the next one, with its complete items."""
    fixture.dispatcher.script = lambda response: [*answer(response.id)[:7], asyncio.Event()]
    fixture.start()
    fixture.accept()
    await until(lambda: len(fixture.repository.events["resp_1"]) == 8)
    fixture.repository.left = 0
    fixture.repository.cancelling.add("resp_1")
    await fixture.kill()
    fixture.start()
    assert (await fixture.ended()).status == "cancelled"
    assert items_of(fixture) == [MESSAGE]


@pytest.mark.parametrize("error", [Conflict("c"), Overloaded("o"), Unavailable("u", retry_after_s=0.001)])
async def test_a_request_that_is_refused_for_now_is_sent_again(fixture: RunnerFixture, error: HomeportError) -> None:
    """A reserved conversation, a full queue or a model that loads: the request is sent until it is answered."""
    refusals: list[HomeportError] = [error] * 3
    fixture.dispatcher.script = lambda response: [refusals.pop()] if refusals else answer(response.id)
    fixture.start()
    fixture.accept()
    assert (await fixture.ended()).status == "completed"
    assert len(fixture.dispatcher.asked) == 4
    assert fixture.types() == ALL_TYPES


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InvalidRequest("i", param="input"), "invalid_prompt"),
        (QuotaExceeded("q"), "rate_limit_exceeded"),
        (EngineFailed("e"), "server_error"),
    ],
)
async def test_a_refused_request_fails(fixture: RunnerFixture, error: HomeportError, code: str) -> None:
    """A request that is refused for good ends its response as failed, with the reason."""
    fixture.dispatcher.script = lambda _: [error]
    fixture.start()
    fixture.accept()
    ended = await fixture.ended()
    assert json.loads(ended.body)["error"] == {"code": code, "message": error.message}
    assert (ended.status, fixture.types(), len(fixture.dispatcher.asked)) == (
        "failed",
        ["created", "queued", "failed"],
        1,
    )


async def test_a_model_that_stays_away_fails_its_responses(
    fixture: RunnerFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request that is refused for too long ends its response as failed."""
    monkeypatch.setattr(run, "_UNAVAILABLE_S", 0.0)
    fixture.dispatcher.script = lambda _: [Unavailable("u")]
    fixture.start()
    fixture.accept()
    assert (await fixture.ended()).status == "failed"


async def test_a_stream_that_breaks_fails(fixture: RunnerFixture, caplog: pytest.LogCaptureFixture) -> None:
    """A stream without an end, or with an unexpected one, ends its response as failed, and is logged."""
    fixture.dispatcher.script = lambda response: answer(response.id)[:5]
    fixture.start()
    fixture.accept()
    ended = await fixture.ended()
    assert (ended.status, fixture.types()[-1]) == ("failed", "failed")
    assert "the response resp_1 broke" in caplog.text


async def test_at_most_a_few_run_at_once(fixture: RunnerFixture) -> None:
    """Requests beyond the limit wait, and one that is refused for now makes room for others."""
    free = asyncio.Event()
    blocked = {"resp_0"}

    def script(response: object) -> list[object]:
        response_id = getattr(response, "id", "")
        return [Conflict("c")] if response_id in blocked else [free, *answer(response_id)]

    fixture.dispatcher.script = script  # type: ignore[assignment]
    for at in range(runner.MAX_RUNNING + 3):
        fixture.accept(f"resp_{at}")
    started = fixture.start()
    await until(lambda: fixture.dispatcher.open >= runner.MAX_RUNNING)
    assert started.running <= runner.MAX_RUNNING + 1
    free.set()
    blocked.clear()
    for at in range(runner.MAX_RUNNING + 3):
        assert (await fixture.ended(f"resp_{at}")).status == "completed"
    assert fixture.dispatcher.most_open == runner.MAX_RUNNING
    assert sorted(fixture.repository.ends) == sorted(fixture.repository.responses)


async def test_a_deleted_response_ends_its_request(fixture: RunnerFixture) -> None:
    """The request of a response that is deleted ends with the next event, and nothing of it is stored."""
    more = asyncio.Event()
    fixture.dispatcher.script = lambda response: [*answer(response.id)[:4], more, *answer(response.id)[4:6], NEVER]
    fixture.start()
    fixture.accept()
    await until(lambda: len(fixture.repository.events["resp_1"]) == 5)
    fixture.repository.delete("one", "resp_1")
    fixture.repository.owners.clear()
    more.set()
    await until(lambda: fixture.dispatcher.open == 0)
    assert fixture.repository.ends == []


async def test_an_outage_of_the_database_loses_nothing(fixture: RunnerFixture) -> None:
    """Events that cannot be stored wait until they can be."""
    fixture.dispatcher.script = lambda response: [*answer(response.id)[:4], middle, *answer(response.id)[4:]]
    middle = asyncio.Event()
    fixture.start()
    fixture.accept()
    await until(lambda: len(fixture.repository.events["resp_1"]) == 5)
    fixture.repository.left = 0
    middle.set()
    await until(lambda: fixture.dispatcher.reached == N_EVENTS + 1)
    fixture.repository.left = None
    assert (await fixture.ended()).status == "completed"
    assert fixture.types() == ALL_TYPES


async def test_a_run_waits_while_too_many_events_are_unwritten(
    fixture: RunnerFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the database does not respond, a bounded number of events is held, and the rest is not read."""
    monkeypatch.setattr(event_buffer, "_MAX_WAITING", 3)
    fixture.dispatcher.script = lambda response: [*answer(response.id)[:2], middle, *answer(response.id)[2:]]
    middle = asyncio.Event()
    fixture.start()
    fixture.accept()
    await until(lambda: len(fixture.repository.events["resp_1"]) == 3)
    fixture.repository.left = 0
    middle.set()
    await until(lambda: fixture.dispatcher.reached == 6)
    for _ in range(50):
        await asyncio.sleep(0)  # every task that can continue does
    assert fixture.dispatcher.reached == 6
    fixture.repository.left = None
    assert (await fixture.ended()).status == "completed"


async def test_a_response_that_was_not_renewed_in_time_is_not_run_twice(fixture: RunnerFixture) -> None:
    """A process that claims a response which it still runs continues the run that it has."""
    fixture.dispatcher.script = lambda response: [*answer(response.id)[:4], middle, *answer(response.id)[4:]]
    middle = asyncio.Event()
    fixture.start()
    fixture.accept()
    await until(lambda: len(fixture.repository.events["resp_1"]) == 5)
    owner = fixture.repository.owners.pop("resp_1")
    fixture.signals.queued.set()
    await until(lambda: fixture.repository.owners.get("resp_1") == owner)
    middle.set()
    assert (await fixture.ended()).status == "completed"
    assert fixture.dispatcher.asked == ["resp_1"]


async def test_a_stopping_server_finishes_and_claims_nothing(fixture: RunnerFixture) -> None:
    """After `stop_claiming`, what runs is finished and what is queued stays queued."""
    middle = asyncio.Event()
    fixture.dispatcher.script = lambda response: [*answer(response.id)[:4], middle, *answer(response.id)[4:]]
    started = fixture.start()
    fixture.accept()
    await until(lambda: fixture.dispatcher.reached == 4)
    started.stop_claiming()
    fixture.accept("resp_2")
    middle.set()
    await started.finish_ended()
    assert fixture.repository.responses["resp_1"].status == "completed"
    fixture.signals.queued.set()
    await until(lambda: not fixture.signals.queued.is_set())  # the loop that claims has run
    assert fixture.repository.responses["resp_2"].status == "queued"
    assert not fixture.repository.owners


@pytest.mark.parametrize("end", ["completed", "failed"])
async def test_its_conversation_is_reserved_until_its_items_are_stored(fixture: RunnerFixture, end: str) -> None:
    """The reservation that its request made ends when the response is stored, however it ends, and not before."""
    conversations = fixture.repository.conversations
    conversation = conversations.create("one", {}, ())
    fixture.dispatcher.script = lambda response: [*answer(response.id, end), middle]
    middle = asyncio.Event()
    fixture.start()
    fixture.accept(conversation_id=conversation.id)
    conversations.lock("one", conversation.id, "resp_1", 1.0)
    await until(lambda: fixture.dispatcher.reached == N_EVENTS)
    assert conversations.locks
    middle.set()
    await fixture.ended()
    await until(lambda: not conversations.locks)
    stored = ["msg_0", "msg_1", "fc_1"] if end == "completed" else []  # what failed may be sent again
    assert [item.id for item in conversations.items("one", conversation.id)] == stored
