"""Background responses for their callers, on a fake repository and with a scripted answer."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from homeport.api import application
from homeport.api.application import build_application
from homeport.api.responses import background
from homeport.api.responses.response_object import ResponseObject
from homeport.api.services import Limits, Services, caller
from homeport.domain.errors import StorageFull
from homeport.domain.keys import LOCAL_PROJECT
from homeport.domain.responses import Item, StoredResponse
from homeport.serving.responses import event_buffer, runner
from tests.api import fakes
from tests.api.asgi import AsgiResponse, call
from tests.serving.conftest import until
from tests.serving.responses.scripts import RunnerFixture, answer

BODY = {"model": "tiny", "input": "a", "background": True}
ITEM = Item("msg_0", '{"id":"msg_0","type":"message"}')


async def start(request: Request) -> Response:
    """Accept a response without any checks."""
    body = await request.body()
    return await background.start(
        request,
        ResponseObject(id="resp_1", created_at=1_800_000_000, model="tiny"),
        (ITEM,),
        body,
        is_streamed="stream" in request.query_params,
        previous_id="resp_0",
        conversation_id=None,
    )


async def follow(request: Request) -> Response:
    """Follow a response."""
    server: Services = request.app.state.services
    assert server.responses is not None
    response = server.responses.get(caller(request).project, request.path_params["response_id"])
    after = request.query_params.get("starting_after")
    return await background.follow(request, response, None if after is None else int(after))


class BackgroundFixture(RunnerFixture):
    """An application with the three handlers, and what `RunnerFixture` has."""

    def __init__(self, **changes: Any) -> None:
        super().__init__()
        self.dispatcher.script = lambda response: answer(response.id)
        self.services = fakes.services(responses=self.repository, response_signals=self.signals, **changes)
        self.app: ASGIApp = build_application(self.services)

    async def create(self, *, is_streamed: bool = False) -> AsgiResponse:
        """Create a response."""
        return await call(self.app, "POST", "/create?stream" if is_streamed else "/create", json.dumps(BODY).encode())

    async def follow(self, after: int | None = None) -> AsgiResponse:
        """Follow the response to its end."""
        return await call(self.app, "GET", "/follow/resp_1" + ("" if after is None else f"?starting_after={after}"))

    async def cancel(self) -> AsgiResponse:
        """Cancel the response."""
        return await call(self.app, "POST", "/cancel/resp_1")


@pytest.fixture
async def fixture(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[BackgroundFixture]:
    """An application; its runner ends with the test."""
    monkeypatch.setitem(application.ROUTES, "/create", {"POST": start})
    monkeypatch.setitem(application.ROUTES, "/follow/{response_id}", {"GET": follow})
    monkeypatch.setitem(
        application.ROUTES,
        "/cancel/{response_id}",
        {"POST": background.cancel},
    )
    monkeypatch.setattr(event_buffer, "_INTERVAL_S", 0.001)
    monkeypatch.setattr(runner, "_POLL_INTERVAL_S", 0.01)
    monkeypatch.setattr(background, "_POLL_S", 0.005)
    made = BackgroundFixture(limits=Limits(ping_s=60))
    yield made
    await made.kill()


def numbers(body: bytes) -> list[int]:
    """Return the sequence numbers of a stream."""
    return [json.loads(line[6:])["sequence_number"] for line in body.split(b"\n") if line.startswith(b"data: ")]


async def test_a_response_is_accepted(fixture: BackgroundFixture) -> None:
    """A created response is queued, and stored with its request, its input and its first two events."""
    made = await fixture.create()
    assert made.status == 200
    assert (made.json["id"], made.json["status"], made.json["background"]) == ("resp_1", "queued", True)
    stored = fixture.repository.responses["resp_1"]
    assert (stored.project, stored.previous_id, stored.input) == (LOCAL_PROJECT, "resp_0", (ITEM,))
    assert json.loads(stored.request) == BODY
    assert stored.expires_at == 1_800_000_000 + 30 * 86_400
    events = fixture.repository.events["resp_1"]
    assert [(each.number, each.type) for each in events] == [(0, "response.created"), (1, "response.queued")]
    for each in events:
        assert json.loads(each.body) == {"type": each.type, "sequence_number": each.number, "response": made.json}
    assert fixture.signals.queued.is_set()


async def test_a_kept_response_never_expires(fixture: BackgroundFixture) -> None:
    """Without a limit of time a response has no expiry."""
    kept = BackgroundFixture(response_keep_s=None)
    assert (await kept.create()).status == 200
    assert kept.repository.responses["resp_1"].expires_at is None
    assert not fixture.repository.responses


async def test_a_full_disk_refuses_it(fixture: BackgroundFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """A response that cannot be stored is refused, and not run."""

    def refuse(*_: object) -> None:
        raise StorageFull("full")

    monkeypatch.setattr(fixture.repository, "add", refuse)
    assert (await fixture.create()).status == 507
    assert not fixture.signals.queued.is_set()


async def test_its_stream_is_followed_while_it_runs(fixture: BackgroundFixture) -> None:
    """A streamed background response sends every event, live, and ends after the last one."""
    middle = asyncio.Event()
    fixture.dispatcher.script = lambda response: [*answer(response.id)[:5], middle, *answer(response.id)[5:]]
    fixture.start()
    streaming = asyncio.create_task(fixture.create(is_streamed=True))
    await until(lambda: len(fixture.repository.events.get("resp_1", [])) == 6)
    middle.set()
    stream = await streaming
    assert stream.headers["content-type"].startswith("text/event-stream")
    n_events = 1 + len(answer())
    assert numbers(stream.body) == list(range(n_events))
    assert len(stream.parts) > 3  # it was not sent in one piece
    frames = [
        f"event: {each.type}\ndata: {each.body}\n\n".replace("\u2028", "\\u2028")
        for each in fixture.repository.events["resp_1"]
    ]
    assert stream.body.decode() == "".join(frames)


async def test_it_is_taken_up_at_every_event_byte_for_byte(fixture: BackgroundFixture) -> None:
    """After any event the stream continues with exactly the bytes that follow it, during the answer and after it."""
    middle = asyncio.Event()
    fixture.dispatcher.script = lambda response: [*answer(response.id)[:5], middle, *answer(response.id)[5:]]
    fixture.start()
    await fixture.create()
    await until(lambda: len(fixture.repository.events["resp_1"]) == 6)
    live = [asyncio.create_task(fixture.follow(after)) for after in (None, *range(6))]
    middle.set()
    frames = [each + b"\n\n" for each in (await fixture.follow()).body.split(b"\n\n")[:-1]]
    n_events = 1 + len(answer())
    assert len(frames) == n_events
    for skipped, following in enumerate(live):
        assert (await following).body == b"".join(frames[skipped:])
    for after in range(n_events):
        assert (await fixture.follow(after)).body == b"".join(frames[after + 1 :])


@pytest.mark.parametrize("has_ended", [True, False])
async def test_no_stream_begins_past_its_end(fixture: BackgroundFixture, has_ended: bool) -> None:
    """A number that no event has yet is refused, and so is a negative one."""
    if has_ended:
        fixture.start()
    await fixture.create()
    if has_ended:
        await fixture.ended()
    n_events = len(fixture.repository.events["resp_1"])
    for after in (-1, n_events, n_events + 1, 10**12):
        refused = await fixture.follow(after)
        assert (refused.status, refused.error["param"]) == (400, "starting_after")


async def test_another_process_may_run_it(fixture: BackgroundFixture) -> None:
    """A follower also sees events that another process stores, which tells it nothing."""
    await fixture.create()
    following = asyncio.create_task(fixture.follow())
    fixture.signals = type(fixture.signals)()  # that of another process
    fixture.start()
    assert numbers((await following).body) == list(range(1 + len(answer())))


async def test_a_follower_that_leaves_ends_nothing(fixture: BackgroundFixture) -> None:
    """A response continues when its caller disconnects."""
    middle = asyncio.Event()
    fixture.dispatcher.script = lambda response: [*answer(response.id)[:5], middle, *answer(response.id)[5:]]
    fixture.start()
    streaming = asyncio.create_task(fixture.create(is_streamed=True))
    await until(lambda: len(fixture.repository.events.get("resp_1", [])) == 6)
    streaming.cancel()
    await asyncio.gather(streaming, return_exceptions=True)
    middle.set()
    assert (await fixture.ended()).status == "completed"


async def test_a_stopping_server_ends_its_followers(fixture: BackgroundFixture) -> None:
    """A follower's stream ends when the server stops, without an end of the response."""
    await fixture.create()
    following = asyncio.create_task(fixture.follow())
    await until(lambda: "resp_1" in fixture.signals._followers)
    fixture.signals.close()
    assert numbers((await following).body) == [0, 1]


async def test_a_running_response_is_cancelled(fixture: BackgroundFixture) -> None:
    """Cancelling ends the request, answers with the cancelled response, and ends its followers' streams."""
    fixture.dispatcher.script = lambda response: [*answer(response.id)[:7], asyncio.Event()]
    fixture.start()
    await fixture.create()
    await until(lambda: len(fixture.repository.events["resp_1"]) == 8)
    following = asyncio.create_task(fixture.follow())
    cancelled = await fixture.cancel()
    assert (cancelled.status, cancelled.json["status"]) == (200, "cancelled")
    assert [item["id"] for item in cancelled.json["output"]] == ["msg_1"]
    assert fixture.dispatcher.open == 0
    last = (await following).body.split(b"data: ")[-1]
    assert json.loads(last)["response"] == cancelled.json
    again = await fixture.cancel()
    assert (again.status, again.json) == (200, cancelled.json)


async def test_a_queued_response_is_cancelled(fixture: BackgroundFixture) -> None:
    """A response that nobody runs is cancelled at once; every follower sees the same end."""
    await fixture.create()
    following = asyncio.create_task(fixture.follow())
    cancelled = await fixture.cancel()
    assert cancelled.json["status"] == "cancelled"
    whole = (await following).body
    assert numbers(whole) == [0, 1, 2]
    frames = [each + b"\n\n" for each in whole.split(b"\n\n")[:-1]]
    assert frames[2].startswith(b"event: response.incomplete\n")
    assert json.loads(frames[2].split(b"data: ")[1])["response"] == cancelled.json
    for after in range(3):
        assert (await fixture.follow(after)).body == b"".join(frames[after + 1 :])
    assert (await fixture.follow(3)).status == 400
    fixture.start()
    fixture.signals.queued.set()
    await until(lambda: not fixture.signals.queued.is_set())
    assert not fixture.dispatcher.asked


async def test_a_completed_response_is_not_cancelled(fixture: BackgroundFixture) -> None:
    """Cancelling a response that has ended describes it."""
    fixture.start()
    await fixture.create()
    await fixture.ended()
    assert (await fixture.cancel()).json["status"] == "completed"


async def test_a_response_in_the_foreground_is_neither_cancelled_nor_followed(fixture: BackgroundFixture) -> None:
    """Only background responses have a stream that is stored, and can be cancelled; an unknown one is not found."""
    fixture.repository.add(
        StoredResponse(id="resp_1", project=LOCAL_PROJECT, status="completed", created_at=1, body="{}")
    )
    refused = await fixture.cancel()
    assert (refused.status, refused.error["message"]) == (400, "Cannot cancel a synchronous response.")
    assert (await fixture.follow()).error["param"] == "stream"
    fixture.repository.delete(LOCAL_PROJECT, "resp_1")
    assert (await fixture.cancel()).status == 404
