"""Writers of responses: items, events and their order, streamed as whole."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from homeport.api.request_context import RequestContext
from homeport.api.responses.items import read_input
from homeport.api.responses.plan import CallTarget, FinishedResponse, ResponsePlan
from homeport.api.responses.response_object import ResponseObject
from homeport.api.responses.writer import response_writer
from homeport.api.writer import AnswerMetadata, Delivery
from homeport.domain.errors import EngineFailed, HomeportError, InvalidRequest, Overloaded, StorageFull
from homeport.domain.events import (
    Admitted,
    AlternativeToken,
    ChoiceFinished,
    Event,
    ReasoningDelta,
    ScoredToken,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from tests.api.responses.item_values import raw
from tests.openai_schemas import check, check_event

TARGETS = {
    "f": CallTarget("function", "f"),
    "n__f": CallTarget("function", "f", "n"),
    "c": CallTarget("custom", "c"),
    "shell": CallTarget("shell", "shell"),
    "local_shell": CallTarget("local_shell", "local_shell"),
    "apply_patch": CallTarget("apply_patch", "apply_patch"),
}
BASE = ResponseObject(id=f"resp_{'a' * 32}", created_at=1, model="m", text={"format": {"type": "text"}})
SCORED = ScoredToken("bye", b"bye", -0.5, 0, (AlternativeToken("by", b"by", -1.0),))
ANSWER: tuple[Event, ...] = (
    ReasoningDelta(0, "thought"),
    TextDelta(0, "hello"),
    ToolCallDelta(0, 0, "c0", "f", '{"a": 1}'),
    ToolCallDelta(0, 1, "c1", "n__f", "{}"),
    ToolCallDelta(0, 2, "c2", "c", "input\u2028"),
    ToolCallDelta(0, 3, "c3", "shell", '{"commands": ["ls"]}'),
    ToolCallDelta(0, 4, "c4", "local_shell", '{"command": ["ls"], "timeout_ms": 5}'),
    ToolCallDelta(0, 5, "c5", "apply_patch", '{"type": "delete_file", "path": "a", "diff": "x"}'),
    TextDelta(0, "bye", (SCORED,)),
)
TYPES = [
    "reasoning",
    "message",
    "function_call",
    "function_call",
    "custom_tool_call",
    "shell_call",
    "local_shell_call",
    "apply_patch_call",
    "message",
]


def plan(**options: Any) -> ResponsePlan:
    return ResponsePlan(BASE, TARGETS, now=lambda: 9.0, **options)


async def written(events: Sequence[Event], made: ResponsePlan, reason: str = "stop") -> bytes:
    """Return all bytes of a response, whose events arrive one by one."""
    writer = response_writer(made, RequestContext())
    writer.on_admitted(AnswerMetadata(Admitted(3), 1, "m", "fp"))
    parts = [writer.opening(), *(writer.write([event]) for event in (*events, ChoiceFinished(0, reason)))]
    writer.usage = Usage(3, 5, 1, 2)
    return b"".join([*parts, await writer.finish()])


def decoded(stream: bytes) -> list[dict[str, Any]]:
    """Return the events of a stream, each checked against its schema, and their numbers."""
    events = []
    for frame in stream.decode().removesuffix("\n\n").split("\n\n"):
        head, data = frame.split("\n")
        event = json.loads(data.removeprefix("data: "))
        assert head == f"event: {event['type']}"
        check_event(event)
        events.append(event)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    return events


def split(event: Event, at: int) -> list[Event]:
    """Return an event as two, the second with what follows a place in its text."""
    match event:
        case TextDelta(choice, text, scored) if not scored:
            return [TextDelta(choice, text[:at]), TextDelta(choice, text[at:])]
        case ReasoningDelta(choice, text):
            return [ReasoningDelta(choice, text[:at]), ReasoningDelta(choice, text[at:])]
        case ToolCallDelta(choice, index, call_id, name, text):
            return [
                ToolCallDelta(choice, index, call_id, name, text[:at]),
                ToolCallDelta(choice, index, "", "", text[at:]),
            ]
    return [event]


@pytest.mark.parametrize("has_summary", [False, True])
async def test_streamed_and_whole_are_one_object(*, has_summary: bool) -> None:
    """Every split of an answer gives the same response, streamed and whole, of events and items as published."""
    options: dict[str, Any] = {"has_logprobs": True, "has_summary": has_summary, "seal": str.upper}
    whole = json.loads(await written(ANSWER, plan(**options)))
    check("Response", whole)
    assert [item["type"] for item in whole["output"]] == TYPES
    for at in range(12):
        events = [part for event in ANSWER for part in split(event, at)]
        assert json.loads(await written(events, plan(**options))) == whole
        streamed = decoded(await written(events, plan(is_streamed=True, **options)))
        assert streamed[-1]["response"] == whole


async def test_items_say_what_was_written() -> None:
    """Calls have the caller's names, reasoning is content, and log-probabilities belong to their message."""
    output = json.loads(await written(ANSWER, plan(has_logprobs=True)))["output"]
    assert output[0]["content"] == [{"type": "reasoning_text", "text": "thought"}]
    assert output[1]["content"] == [{"type": "output_text", "text": "hello", "annotations": [], "logprobs": []}]
    assert (output[3]["name"], output[3]["namespace"], output[3]["call_id"]) == ("f", "n", "c1")
    assert output[5]["action"] == {"commands": ["ls"], "timeout_ms": None, "max_output_length": None}
    assert output[7]["operation"] == {"type": "delete_file", "path": "a"}
    (scored,) = output[8]["content"][0]["logprobs"]
    assert (scored["token"], scored["top_logprobs"][0]["token"]) == ("bye", "by")
    assert len({item["id"] for item in output}) == len(output)


async def test_what_is_answered_is_taken_back() -> None:
    """Each item of an answer is valid input, with reasoning as content, as summary and sealed."""
    for options in ({}, {"has_summary": True, "seal": str.upper}):
        output = json.loads(await written(ANSWER, plan(**options)))["output"]
        assert [item.type or "message" for item in read_input(raw(*output))] == TYPES


async def test_events_of_an_item_are_in_order() -> None:
    """An item is added, its part is added, written and done, and then it is done, with exact indexes."""
    events = decoded(await written(ANSWER[:3], plan(is_streamed=True)))
    assert [event["type"].removeprefix("response.") for event in events] == [
        "created",
        "in_progress",
        *("output_item.added", "content_part.added", "reasoning_text.delta", "reasoning_text.done"),
        *("content_part.done", "output_item.done"),
        *("output_item.added", "content_part.added", "output_text.delta", "output_text.done"),
        *("content_part.done", "output_item.done"),
        *("output_item.added", "function_call_arguments.delta", "function_call_arguments.done", "output_item.done"),
        "completed",
    ]
    assert [event["output_index"] for event in events if "output_index" in event] == [0] * 6 + [1] * 6 + [2] * 4


async def test_what_is_cut_is_incomplete() -> None:
    """An answer that ends by length is incomplete, and so is only the item that was cut, also a call's arguments."""
    for cut in (TextDelta(0, "hel"), ToolCallDelta(0, 0, "c0", "shell", '{"comm')):
        body = json.loads(await written([ANSWER[0], cut], plan(), "length"))
        check("Response", body)
        assert (body["status"], body["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
        assert [item["status"] for item in body["output"]] == ["completed", "incomplete"]
        decoded(await written([ANSWER[0], cut], plan(is_streamed=True), "length"))
        read_input(raw(*body["output"]))
    for whole in ANSWER[5:8]:
        body = json.loads(await written([whole], plan(), "length"))
        check("Response", body)
        assert body["output"][0]["status"] == "completed"
        decoded(await written([whole], plan(is_streamed=True), "length"))
    assert json.loads(await written([], plan(), "length"))["output"] == []
    assert json.loads(await written([], plan()))["output"][0]["content"][0]["text"] == ""


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (EngineFailed("broke"), "server_error"),
        (Overloaded("busy"), "rate_limit_exceeded"),
        (InvalidRequest("bad", param="input"), "invalid_prompt"),
    ],
)
async def test_an_error_in_a_stream_ends_it(error: HomeportError, code: str) -> None:
    """An error after the first byte is an event, then the response fails with the items that were complete."""
    stored: list[FinishedResponse] = []

    async def store(finished: FinishedResponse) -> None:
        stored.append(finished)

    writer = response_writer(plan(is_streamed=True, on_end=store), RequestContext())
    stream = writer.opening() + writer.write(ANSWER[:2]) + await writer.render_error(error)
    events = decoded(stream)
    assert (events[-2]["type"], events[-2]["message"]) == ("error", error.message)
    failed = events[-1]["response"]
    assert (events[-1]["type"], failed["status"], failed["error"]["code"]) == ("response.failed", "failed", code)
    assert [item["type"] for item in failed["output"]] == ["reasoning"]
    assert (stored[0].status, len(stored[0].output)) == ("failed", 1)


async def test_a_stream_says_that_it_could_not_be_stored(caplog: pytest.LogCaptureFixture) -> None:
    """A response that can be stored neither as completed nor as failed ends with both events of its error."""

    async def fail(_: FinishedResponse) -> None:
        raise StorageFull("The disk is full.")

    writer = response_writer(plan(is_streamed=True, on_end=fail), RequestContext())
    stream = writer.opening() + writer.write([*ANSWER[:2], ChoiceFinished(0, "stop")])
    with pytest.raises(StorageFull) as raised:
        await writer.finish()
    events = decoded(stream + await writer.render_error(raised.value))
    assert [event["type"] for event in events[-3:]] == ["response.output_item.done", "error", "response.failed"]
    assert events[-1]["response"]["error"]["message"] == "The disk is full."
    assert BASE.id in caplog.text


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("apply_patch", "{}"),
        ("apply_patch", '{"type": "rename", "path": "a"}'),
        ("apply_patch", '{"type": "delete_file"}'),
        ("shell", "{}"),
        ("shell", '{"commands": "ls"}'),
        ("local_shell", '{"command": ["ls"], "shell": "zsh"}'),
    ],
)
async def test_an_action_without_what_it_needs_is_incomplete(tool: str, arguments: str) -> None:
    """A call of the caller's tool whose arguments are not that tool's is a valid item that nobody is to execute."""
    call = ToolCallDelta(0, 0, "c0", tool, arguments)
    body = json.loads(await written([call], plan(), "tool_calls"))
    check("Response", body)
    (item,) = body["output"]
    assert (item["type"], item["name"], item["arguments"]) == ("function_call", tool, arguments)
    assert item["status"] == "incomplete"
    assert decoded(await written([call], plan(is_streamed=True), "tool_calls"))[-1]["response"] == body
    read_input(raw(item))


async def test_an_action_may_have_null_for_what_is_optional() -> None:
    """A call of the caller's tool with null for an optional argument is a call of that tool, as published."""
    call = ToolCallDelta(0, 0, "c0", "local_shell", '{"command": ["ls"], "env": null, "timeout_ms": null}')
    body = json.loads(await written([call], plan(), "tool_calls"))
    check("Response", body)
    assert (body["output"][0]["type"], body["output"][0]["action"]["env"]) == ("local_shell_call", {})


async def test_a_response_is_stored_before_its_end_is_sent() -> None:
    """Its JSON is stored without output, beside the items; a stream and a body store the same."""
    stored: list[FinishedResponse] = []

    async def store(finished: FinishedResponse) -> None:
        stored.append(finished)

    for is_streamed in (False, True):
        await written(ANSWER, plan(is_streamed=is_streamed, on_end=store))
    assert stored[0] == stored[1]
    assert json.loads(stored[0].body)["output"] == []
    assert [json.loads(item.body)["type"] for item in stored[0].output] == TYPES
    assert response_writer(plan(), RequestContext()).delivery is Delivery.WHOLE


@pytest.mark.parametrize("scored", [(), (SCORED,)])
async def test_deltas_can_be_padded(scored: tuple[ScoredToken, ...]) -> None:
    """With obfuscation every delta has random characters, with scores too; sizes differ by multiples of 32."""
    sizes = set()
    for text in ("a", "a longer text", "ten"):
        made = plan(is_streamed=True, is_padded=True, has_logprobs=bool(scored))
        (delta,) = [
            event
            for event in decoded(await written([TextDelta(0, text, scored)], made))
            if event["type"].endswith("text.delta")
        ]
        assert delta["obfuscation"]
        sizes.add(len(json.dumps(delta, separators=(",", ":"))) % 32)
    assert len(sizes) == 1
