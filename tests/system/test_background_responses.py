"""Background responses over real HTTP, with real weights: killed servers, interrupted streams, cancelling."""

import os
import random
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import openai
import psutil
import pytest

from tests.conftest import Scale
from tests.openai_schemas import check_event
from tests.system.raw_http import RawConnection
from tests.system.server import ServerProcess, running

MODEL = "smollm2-135m"
ENDED = ("completed", "incomplete", "failed", "cancelled")
TERMINAL = ("response.completed", "response.incomplete", "response.failed")
TOOL = {
    "type": "function",
    "name": "get_weather",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string", "maxLength": 20}},
        "required": ["city"],
        "additionalProperties": False,
    },
}
LONG: dict[str, Any] = {"input": "Tell a long story.", "max_output_tokens": 2000, "ignore_eos": True}


def create(server: ServerProcess, **fields: Any) -> str:
    """Create a background response; return its id."""
    body = {"model": MODEL, "input": "Hello", "background": True, **fields}
    answer = server.call("POST", "/v1/responses", body)
    assert answer.status == 200, answer.body
    assert answer.json()["status"] == "queued"
    return str(answer.json()["id"])


def retrieve(server: ServerProcess, response_id: str) -> Any:
    """Return a response."""
    answer = server.call("GET", f"/v1/responses/{response_id}")
    assert answer.status == 200, answer.body
    return answer.json()


def wait_for_end(server: ServerProcess, response_id: str, limit_s: float = 120) -> Any:
    """Return a response when it has ended."""
    server.wait(f"{response_id} has ended", lambda: retrieve(server, response_id)["status"] in ENDED, limit_s)
    return retrieve(server, response_id)


def stream(server: ServerProcess, response_id: str, after: int | None = None) -> bytes:
    """Return the stream of a response to its end, without comments."""
    start = "" if after is None else f"&starting_after={after}"
    answer = server.call("GET", f"/v1/responses/{response_id}?stream=true{start}")
    assert answer.status == 200, answer.body
    return answer.body.replace(b": ping\n\n", b"")


def frames_of(body: bytes) -> list[bytes]:
    """Return the frames of a stream."""
    frames = [frame + b"\n\n" for frame in body.split(b"\n\n")]
    assert frames.pop() == b"\n\n", "the stream ends within a frame"
    return frames


def events_of(body: bytes) -> list[Any]:
    """Return the events of a stream, each as OpenAI published it."""
    events = [msgspec.json.decode(frame.split(b"data: ", 1)[1]) for frame in frames_of(body)]
    for event in events:
        check_event(event)
    return events


def check_ended(server: ServerProcess, response_id: str) -> str:
    """Check that a response ended exactly once, with all its numbers and whole items; return its status."""
    ended = wait_for_end(server, response_id)
    events = events_of(stream(server, response_id))
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert [event["type"] for event in events[:2]] == ["response.created", "response.queued"]
    assert [event["type"] for event in events if event["type"] in TERMINAL] == [
        event["type"] for event in events[2:] if event.get("response", {}).get("status") in ENDED
    ]
    [last] = [event for event in events if event["type"] in TERMINAL]
    assert last["response"] == ended
    done = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    assert ended["output"] == done
    for item in ended["output"]:
        assert item["status"] in ("completed", "incomplete")
        if item["type"] == "function_call":
            assert set(msgspec.json.decode(item["arguments"])) == {"city"}
    return str(ended["status"])


@pytest.mark.soak
def test_responses_outlive_kills(tmp_path: Path, smollm2: Path, scale: Scale) -> None:
    """After `kill -9` at random moments every accepted response ends exactly once, with whole items."""
    assert smollm2.exists()
    chance = random.Random(17)
    kept = {"DATABASE_URL": f"sqlite:///{tmp_path}/kept.db", "BLOBS": str(tmp_path / "blobs")}
    accepted: list[str] = []
    for _ in range(scale(3, 10)):
        with running(tmp_path / "log", "--model", MODEL, **kept) as server:
            accepted += _accept_and_kill(server, chance)
    with running(tmp_path / "log", "--model", MODEL, **kept) as server:
        for response_id in accepted:
            if retrieve(server, response_id)["status"] not in ENDED and chance.random() < 0.2:
                server.call("POST", f"/v1/responses/{response_id}/cancel")
        statuses = Counter(check_ended(server, response_id) for response_id in accepted)
        errors = [error["message"] for each in accepted if (error := retrieve(server, each)["error"])]
        assert set(errors) <= {"The server stopped while it answered."}
        server.wait("nothing runs", server.is_idle)
    assert statuses.total() == len(accepted)
    assert statuses["failed"] + statuses["cancelled"] >= 1  # some of the long ones were being answered
    assert statuses["completed"] >= 1  # some of the calls were not


def _accept_and_kill(server: ServerProcess, chance: random.Random) -> list[str]:
    """Kill the server after a random number of events of a long response, and at once after accepting others."""
    caller = RawConnection(server, "/v1/responses", {"model": MODEL, "background": True, "stream": True, **LONG})
    caller.status()
    first = caller.events(1)
    accepted = [first[0]["response"]["id"], _create_call(server)]
    caller.events(chance.randrange(60))
    accepted += [_create_call(server), create(server, input="Say hello.", max_output_tokens=4)]
    workers = server.workers()
    os.kill(server.pid, signal.SIGKILL)
    psutil.wait_procs(workers, 20)
    caller.hang_up()
    return accepted


def _create_call(server: ServerProcess) -> str:
    """Create a response that calls a tool."""
    return create(server, input="Weather in Rome?", tools=[TOOL], tool_choice="required", parallel_tool_calls=False)


def test_a_stopping_server_finishes_what_runs(tmp_path: Path, smollm2: Path) -> None:
    """A server that is asked to stop finishes what it answers, and its followers see the end."""
    assert smollm2.exists()
    kept = {"DATABASE_URL": f"sqlite:///{tmp_path}/kept.db", "BLOBS": str(tmp_path / "blobs")}
    body = {"model": MODEL, "input": "Hello", "background": True, "stream": True, "max_output_tokens": 80}
    with running(tmp_path / "log", "--model", MODEL, **kept) as server:
        caller = RawConnection(server, "/v1/responses", {**body, "ignore_eos": True})
        assert caller.status() == 200
        response_id = caller.events(5)[0]["response"]["id"]
        server.child.send_signal(signal.SIGTERM)
        rest = caller.events()
        caller.hang_up()
        assert server.child.wait(20) == 0
    assert rest[-1]["type"] == "response.incomplete"
    with running(tmp_path / "log", "--model", MODEL, **kept) as server:
        assert retrieve(server, response_id)["status"] == "incomplete"
        assert check_ended(server, response_id) == "incomplete"


def test_a_stream_is_taken_up_again_byte_for_byte(server: ServerProcess) -> None:
    """A caller that leaves a stream ends nothing, and continues after any event with the same bytes."""
    body = {"model": MODEL, "input": "Tell a story.", "background": True, "stream": True, "max_output_tokens": 60}
    caller = RawConnection(server, "/v1/responses", {**body, "ignore_eos": True})
    assert caller.status() == 200
    first = caller.events(6)
    caller.hang_up()
    response_id = first[0]["response"]["id"]
    live = stream(server, response_id, 5)  # it runs while this is read
    whole = stream(server, response_id)
    frames = frames_of(whole)
    assert events_of(whole)[:6] == first
    assert live == b"".join(frames[6:])
    for number in (0, 1, 7, len(frames) // 2, len(frames) - 2, len(frames) - 1):
        assert stream(server, response_id, number) == b"".join(frames[number + 1 :])
    assert check_ended(server, response_id) == "incomplete"
    past = server.call("GET", f"/v1/responses/{response_id}?stream=true&starting_after={len(frames)}")
    assert (past.status, past.error["param"]) == (400, "starting_after")


def test_cancelling_frees_the_engine(server: ServerProcess) -> None:
    """A running response that is cancelled stops computing at once, and says that it is cancelled."""
    server.wait("idle before", server.is_idle)
    response_id = create(server, **LONG)
    server.wait("it runs", lambda: server.gauge("vllm:num_requests_running") == 1)
    cancelled = server.call("POST", f"/v1/responses/{response_id}/cancel")
    assert (cancelled.status, cancelled.json()["status"]) == (200, "cancelled")
    server.wait("the engine is free", server.is_idle, 2)
    assert check_ended(server, response_id) == "cancelled"
    assert server.call("POST", f"/v1/responses/{response_id}/cancel").json() == cancelled.json()


def test_a_response_of_the_foreground_is_not_cancelled(server: ServerProcess) -> None:
    """Only background responses can be cancelled."""
    made = server.call("POST", "/v1/responses", {"model": MODEL, "input": "Hi", "max_output_tokens": 2}).json()
    refused = server.call("POST", f"/v1/responses/{made['id']}/cancel")
    assert (refused.status, refused.error["message"]) == (400, "Cannot cancel a synchronous response.")


def test_the_newest_client_uses_the_background(server: ServerProcess, client: openai.OpenAI) -> None:
    """The official client creates, polls, streams and continues a background response."""
    made = client.responses.create(model=MODEL, input="Say hello.", background=True, max_output_tokens=8)
    assert made.status == "queued"
    server.wait("it has ended", lambda: client.responses.retrieve(made.id).status in ENDED)
    ended = client.responses.retrieve(made.id)
    events = list(client.responses.retrieve(made.id, stream=True, starting_after=1))
    for event in events:
        check_event(event.to_dict(mode="json"))
    assert [event.sequence_number for event in events] == list(range(2, 2 + len(events)))
    assert events[-1].type in ("response.completed", "response.incomplete")
    assert events[-1].response == ended
    follow_up = client.responses.create(model=MODEL, input="Again.", previous_response_id=made.id, max_output_tokens=2)
    assert follow_up.previous_response_id == made.id


def test_a_request_that_the_model_refuses_fails(server: ServerProcess) -> None:
    """What only the model can refuse, such as a prompt over its window, ends a background response as failed."""
    response_id = create(server, input="word " * 20_000)
    ended = wait_for_end(server, response_id)
    assert (ended["status"], ended["error"]["code"]) == ("failed", "invalid_prompt")
    assert check_ended(server, response_id) == "failed"
