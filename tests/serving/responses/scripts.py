"""A scripted answer, a dispatcher that plays it, and a server whose runners come and go."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any

from homeport.domain.errors import HomeportError, Unavailable
from homeport.domain.responses import Item, ResponseEvent, StoredResponse
from homeport.serving.background_loops import BackgroundLoops
from homeport.serving.responses.runner import ResponseRunner
from homeport.serving.responses.signals import ResponseSignals
from tests.api.responses.fakes import FakeResponseRepository
from tests.serving.conftest import until

PROJECT = "one"
WORDS = ("é\u2028", ' "sequence_number":4,', "!")
MESSAGE = {"id": "msg_1", "type": "message", "status": "completed", "content": [{"text": "".join(WORDS)}]}
CALL = {"id": "fc_1", "type": "function_call", "status": "completed", "arguments": "{}"}


def body_of(response_id: str, **fields: Any) -> dict[str, Any]:
    """Return the JSON of a response as it was accepted."""
    given = {"id": response_id, "created_at": 7, "status": "queued", "background": True, "error": None, "output": []}
    return {**given, "store": True, **fields}


def queued(response_id: str = "resp_1", **fields: Any) -> tuple[StoredResponse, Sequence[ResponseEvent]]:
    """Return a response that was accepted, and its first events."""
    body = json.dumps(body_of(response_id))
    given: dict[str, Any] = {
        "id": response_id,
        "project": PROJECT,
        "status": "queued",
        "created_at": 7,
        "body": body,
        "input": (Item("msg_0", '{"id":"msg_0"}'),),
        "is_background": True,
        "request": "{}",
    }
    events = [event(number, type, response=json.loads(body)) for number, type in enumerate(FIRST)]
    return StoredResponse(**{**given, **fields}), events


FIRST = ("response.created", "response.queued")


def event(number: int, type: str, **fields: Any) -> ResponseEvent:
    """Return one event."""
    text = json.dumps({"type": type, "sequence_number": number, **fields}, separators=(",", ":"), ensure_ascii=False)
    return ResponseEvent(number, type, text)


def answer(response_id: str = "resp_1", end: str = "completed") -> list[ResponseEvent]:
    """Return the events of a run: a message and a call."""
    begun = body_of("resp_other", status="in_progress", created_at=99, background=False, store=False, model="m")
    done = {**begun, "status": end, "output": [MESSAGE, CALL], "usage": {"total_tokens": 4}}
    parts: list[tuple[str, dict[str, Any]]] = [
        ("response.created", {"response": begun}),
        ("response.in_progress", {"response": begun}),
        ("response.output_item.added", {"output_index": 0, "item": {**MESSAGE, "status": "in_progress"}}),
        *(("response.output_text.delta", {"item_id": "msg_1", "delta": word}) for word in WORDS),
        ("response.output_item.done", {"output_index": 0, "item": MESSAGE}),
        ("response.output_item.added", {"output_index": 1, "item": {**CALL, "status": "in_progress"}}),
        ("response.output_item.done", {"output_index": 1, "item": CALL}),
        (f"response.{end}", {"response": done}),
    ]
    return [event(number, type, **fields) for number, (type, fields) in enumerate(parts)]


Step = ResponseEvent | HomeportError | asyncio.Event


class ScriptedDispatcher:
    """Plays a script for each request. `script` makes it; `asked` are the responses whose requests ran.

    `reached`: how many steps of the last script were played; `open`: the requests that run now.
    """

    def __init__(self, script: Callable[[StoredResponse], Sequence[Step]] | None = None) -> None:
        self.script = script or (lambda response: answer(response.id))
        self.asked: list[str] = []
        self.reached = 0
        self.open = 0
        self.most_open = 0

    async def __call__(self, response: StoredResponse) -> AsyncGenerator[ResponseEvent, None]:
        """Implement the port ResponseDispatcher."""
        self.asked.append(response.id)
        self.reached = 0
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            for step in self.script(response):
                if isinstance(step, HomeportError):
                    raise step
                if isinstance(step, asyncio.Event):
                    await step.wait()
                else:
                    yield step
                self.reached += 1
        finally:
            self.open -= 1


class CheckedRepository(FakeResponseRepository):
    """Counts the ends of each response, and refuses numbers with gaps. `left`: the calls until it is out of reach."""

    def __init__(self) -> None:
        super().__init__()
        self.ends: list[str] = []
        self.left: int | None = None

    def _reach(self) -> None:
        if self.left is not None:
            if self.left <= 0:
                raise Unavailable("The database is out of reach.")
            self.left -= 1

    def claim(self, owner: str, lease_s: float) -> StoredResponse | None:
        """Claim, if it is in reach."""
        self._reach()
        return super().claim(owner, lease_s)

    def start(self, owner: str, response_id: str) -> None:
        """Start, if it is in reach."""
        self._reach()
        super().start(owner, response_id)

    def add_events(self, owner: str, response_id: str, events: Sequence[ResponseEvent]) -> None:
        """Add events, which must follow on those that exist."""
        self._reach()
        self._check(response_id, events)
        super().add_events(owner, response_id, events)

    def finish(self, owner: str, response_id: str, end: Any) -> None:
        """Finish, once."""
        self._reach()
        self._owned(owner, response_id)
        self._check(response_id, end.events)
        super().finish(owner, response_id, end)
        self.ends.append(response_id)

    def list_events(self, project: str, response_id: str, after: int, limit: int) -> Sequence[ResponseEvent]:
        """List events, if it is in reach."""
        self._reach()
        return super().list_events(project, response_id, after, limit)

    def _check(self, response_id: str, events: Sequence[ResponseEvent]) -> None:
        first = len(self.events[response_id])
        assert [each.number for each in events] == list(range(first, first + len(events)))
        assert [json.loads(each.body)["sequence_number"] for each in events] == [each.number for each in events]


class RunnerFixture:
    """A repository, a dispatcher, and one runner at a time."""

    def __init__(self) -> None:
        self.repository = CheckedRepository()
        self.dispatcher = ScriptedDispatcher()
        self.signals = ResponseSignals()
        self.loops = BackgroundLoops(first_s=0.0, limit_s=0.0)
        self.runner: ResponseRunner | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> ResponseRunner:
        """Start a runner."""
        conversations = self.repository.conversations
        self.runner = ResponseRunner(self.repository, conversations, self.dispatcher, self.signals, self.loops)
        self._task = asyncio.create_task(self.runner.run())
        return self.runner

    async def kill(self) -> None:
        """End the runner as `kill -9` does: nothing more is stored, and its leases expire."""
        if self._task is not None:
            self.repository.left = 0
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self.repository.left = None
            self.repository.owners.clear()

    def accept(self, response_id: str = "resp_1", **fields: Any) -> None:
        """Store a response, and wake the runner."""
        self.repository.add(*queued(response_id, **fields))
        self.signals.queued.set()

    async def ended(self, response_id: str = "resp_1") -> StoredResponse:
        """Wait for the end of a response; return it."""
        await until(lambda: self.repository.responses[response_id].has_ended)
        return self.repository.responses[response_id]

    def types(self, response_id: str = "resp_1") -> list[str]:
        """Return the types of all events, without their common beginning."""
        return [each.type.removeprefix("response.") for each in self.repository.events[response_id]]
