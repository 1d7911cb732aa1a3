"""Responses that compact their context: by themselves over a threshold, or because the input asks for it."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from homeport.api.responses.summaries import INSTRUCTION, MAX_SUMMARY_TOKENS
from homeport.domain.errors import ContextOverflow
from homeport.domain.events import (
    Admitted,
    ChoiceFinished,
    Done,
    Event,
    ReasoningDelta,
    TextDelta,
    TokenizeResult,
    Usage,
)
from homeport.domain.text import ChatPrompt, TextRequest, TokenRequest
from homeport.domain.worker_messages import EngineRequest
from tests.api.asgi import AsgiResponse
from tests.api.fakes import FakeServing, Script, answer
from tests.api.responses.calls import FUNCTION, PATH, ResponseApp
from tests.api.responses.hosted import IMAGE_TOOL, calls, hosted_app, images, painting
from tests.openai_schemas import check, check_event

TALK = [
    {"role": "developer", "content": "Be kind."},
    {"role": "user", "content": "Hello"},
    {"role": "assistant", "content": "Good day"},
    {"role": "user", "content": "What now?"},
]
TRIGGER = {"type": "compaction_trigger"}


def managed(threshold: int | None = 1000) -> list[dict[str, Any]]:
    """Make a `context_management`."""
    return [{"type": "compaction", "compact_threshold": threshold}]


def app_of(n_tokens: int | ContextOverflow) -> ResponseApp:
    """Make an application whose model counts any prompt as this many tokens, and writes `met` as a summary."""

    def script(request: EngineRequest) -> Script:
        if isinstance(request, TokenRequest):
            if isinstance(n_tokens, ContextOverflow):
                return [n_tokens]
            return [[Admitted(0)], [TokenizeResult(ids=tuple(range(n_tokens)))], [Done(Usage())]]
        return answer("They met" if is_summary(request) else "Go on", cached=1)

    return ResponseApp(FakeServing(script))


def is_summary(request: EngineRequest) -> bool:
    """Whether a request asks for a summary."""
    if not isinstance(request, TextRequest):
        return False
    [prompt] = request.prompts
    assert isinstance(prompt, ChatPrompt)
    return prompt.messages[-1].text == INSTRUCTION


def events_of(response: AsgiResponse) -> list[dict[str, Any]]:
    """Return the events of a stream, checked."""
    lines = response.body.decode().splitlines()
    events: list[dict[str, Any]] = [json.loads(line[6:]) for line in lines if line.startswith("data: {")]
    for number, event in enumerate(events):
        check_event(event)
        assert event["sequence_number"] == number
    return events


async def test_a_long_context_is_compacted_before_the_answer() -> None:
    """Over its threshold, a response begins with a compaction, and the model answers what that leaves."""
    app = app_of(1001)
    body = await app.answer(input=TALK, instructions="Be brief.", context_management=managed(), tools=[FUNCTION])
    check("Response", body)
    compaction, message = body["output"]
    assert (compaction["type"], message["content"][0]["text"]) == ("compaction", "Go on")
    assert [text for _, text in app.last_texts] == [
        "Be brief.",
        "Be kind.",
        "Summary of the earlier conversation: They met",
        "What now?",
    ]
    assert app.last_prompt.tools is not None
    counted, summarized, _ = (request for _, request in app.serving.requests)
    assert isinstance(counted, TokenRequest)
    assert is_summary(summarized)
    assert body["usage"] == {
        "input_tokens": 10,
        "input_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 0},
        "output_tokens": 4,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 14,
    }


async def test_a_compacted_context_continues_the_same_by_any_way() -> None:
    """By `previous_response_id`, by `conversation`, by all items, or by those from the compaction on: one prompt."""
    prompts = []
    for way in ("previous", "conversation", "items", "rest"):
        app = app_of(1001)
        conversation = app.conversations.create("local", {}, ()).id if way == "conversation" else None
        first = await app.answer(input=TALK, conversation=conversation, context_management=managed())
        items: list[Any] = [{"role": "user", "content": "And then?"}]
        fields: dict[str, Any] = {"conversation": conversation}
        if way == "previous":
            fields = {"previous_response_id": first["id"]}
        elif way != "conversation":
            items = [*(TALK if way == "items" else ()), *first["output"], *items]
        await app.answer(input=items, **fields)
        prompts.append(app.last_prompt)
    texts = ["Be kind.", "Summary of the earlier conversation: They met", "What now?", "Go on", "And then?"]
    assert [message.text for message in prompts[0].messages] == texts
    assert prompts[1:] == prompts[:1] * 3


@pytest.mark.parametrize("asks", [False, True])
async def test_a_stream_holds_the_compaction(asks: bool) -> None:
    """In a stream a compaction is an item that is whole at once, and its end has what is stored."""
    app = app_of(1001)
    fields = {"input": [*TALK, TRIGGER]} if asks else {"input": TALK, "context_management": managed()}
    events = events_of(await app.create(stream=True, **fields))
    added, done = events[2:4]
    assert [event["type"] for event in (added, done)] == ["response.output_item.added", "response.output_item.done"]
    assert added["item"] == done["item"]
    last = events[-1]["response"]
    assert (last["status"], last["output"][0]) == ("completed", done["item"])
    assert [item["type"] for item in last["output"]] == (["compaction"] if asks else ["compaction", "message"])
    assert (await app.send("GET", f"{PATH}/{last['id']}")).json["output"] == last["output"]


@pytest.mark.parametrize(
    ("n_tokens", "items", "threshold"),
    [(1000, TALK, 1000), (3, TALK, None), (1001, [TALK[0], TALK[3]], 1000), (1001, "Hello", 1000)],
)
async def test_a_context_is_left_as_it_is(n_tokens: int, items: Any, threshold: int | None) -> None:
    """Nothing is compacted up to the threshold, or if there is nothing but instructions and one question."""
    app = app_of(n_tokens)
    body = await app.answer(input=items, context_management=managed(threshold))
    assert [item["type"] for item in body["output"]] == ["message"]
    assert not any(is_summary(request) for _, request in app.serving.requests)


async def test_the_default_threshold_depends_on_the_window() -> None:
    """Without a threshold, a context is compacted over three quarters of the model's window."""
    app = app_of(0)
    await app.answer(input=TALK, context_management=managed())
    window = app.serving.requests[-1][0].facts.window
    assert window is not None
    for n_tokens, kinds in ((window * 3 // 4, ["message"]), (window * 3 // 4 + 1, ["compaction", "message"])):
        body = await app_of(n_tokens).answer(input=TALK, context_management=managed(None))
        assert [item["type"] for item in body["output"]] == kinds


async def test_what_does_not_fit_is_compacted_only_with_truncation() -> None:
    """A prompt over the window is an error, unless its oldest turns may be dropped: then it is compacted."""
    app = app_of(ContextOverflow("Too long.", param="input"))
    assert (await app.create(input=TALK, context_management=managed())).error["code"] == "context_length_exceeded"
    body = await app.answer(input=TALK, context_management=managed(), truncation="auto")
    assert [item["type"] for item in body["output"]] == ["compaction", "message"]


async def test_an_input_can_ask_for_a_compaction() -> None:
    """With a trigger as the last item, the response is a compaction alone, of the whole context."""
    app = app_of(0)
    first = await app.answer(input=TALK[:2])
    items = [{"role": "user", "content": "What now?"}, TRIGGER]
    body = await app.answer(input=items, previous_response_id=first["id"], tools=[FUNCTION])
    check("Response", body)
    assert ([item["type"] for item in body["output"]], body["status"]) == (["compaction"], "completed")
    assert (app.last_texts[-1][1], app.last_prompt.tools) == (INSTRUCTION, None)
    assert app.last_request.stopping.default_tokens == MAX_SUMMARY_TOKENS
    assert [item["type"] for item in (await app.send("GET", f"{PATH}/{body['id']}/input_items")).json["data"]] == [
        "message"
    ]
    await app.answer(previous_response_id=body["id"], input="Go")
    summary = "Summary of the earlier conversation: They met"
    assert [text for _, text in app.last_texts] == ["Be kind.", "Hello", "What now?", summary, "Go"]


def app_writing(events: Sequence[Event]) -> ResponseApp:
    """Make an application whose model always writes this."""
    return ResponseApp(FakeServing(lambda _: [[Admitted(5)], events, [Done(Usage(5, 2))]]))


async def test_a_cut_summary_is_a_compaction() -> None:
    """A summary that reaches its limit is complete; reasoning is no part of it, and one without text is empty."""
    events: list[Event] = [ReasoningDelta(0, "hm"), TextDelta(0, "They"), ChoiceFinished(0, "length")]
    for written in (events, events[-1:]):
        app = app_writing(written)
        body = await app.answer(input=[*TALK, TRIGGER], max_output_tokens=20)
        assert app.last_request.stopping.max_tokens == 20
        assert ([item["type"] for item in body["output"]], body["status"]) == (["compaction"], "completed")
        await app.answer(input=body["output"])
        assert app.last_texts == [("developer", "Summary of the earlier conversation: " + "They" * (written is events))]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"context_management": [{}]}, "context_management[0].type"),
        ({"context_management": [{"type": "x"}]}, "context_management[0].type"),
        ({"context_management": managed(999)}, "context_management[0].compact_threshold"),
        ({"context_management": managed() * 2}, "context_management"),
        ({"input": [TRIGGER, *TALK]}, "input[0]"),
        ({"input": [TRIGGER]}, "input"),
    ],
)
async def test_what_is_wrong_is_refused_by_name(fields: dict[str, Any], param: str) -> None:
    """A bad value is a 400 that names the field."""
    app = ResponseApp()
    response = await app.create(**fields)
    assert (response.status, response.error["param"]) == (400, param)
    assert not app.serving.requests


async def test_a_trigger_is_not_stored() -> None:
    """A conversation takes no request for its compaction, and the standalone compaction ignores one."""
    app = app_of(0)
    response = await app.send("POST", "/v1/conversations", {"items": [TRIGGER]})
    assert (response.status, response.error["param"]) == (400, "items[0].type")
    compacted = await app.send("POST", f"{PATH}/compact", {"model": "tiny", "input": [*TALK, TRIGGER]})
    assert [item["type"] for item in compacted.json["output"]] == ["message", "message", "compaction"]


@pytest.mark.parametrize("most", [None, 0])
async def test_hosted_tools_follow_a_compaction(most: int | None) -> None:
    """The turns of a response that compacts its context read the compaction, and its output has all items."""
    turns = [calls(painting()), answer("Here")] if most is None else [answer("Here")]

    def script(request: EngineRequest) -> Script:
        if isinstance(request, TokenRequest):
            return [[Admitted(0)], [TokenizeResult(ids=tuple(range(2000)))], [Done(Usage())]]
        if not isinstance(request, TextRequest):
            return images()
        return answer("They met", prompt_tokens=20) if is_summary(request) else turns.pop(0)

    app = hosted_app(FakeServing(script))
    given = {"input": TALK, "tools": [IMAGE_TOOL], "context_management": managed(), "max_tool_calls": most}
    events = events_of(await app.create(**given, stream=True))
    body = events[-1]["response"]
    kinds = ["compaction", "image_generation_call", "message"] if most is None else ["compaction", "message"]
    assert [item["type"] for item in body["output"]] == kinds
    assert body["usage"]["input_tokens"] == (30 if most is None else 25)
    summary = "Summary of the earlier conversation: They met"
    assert [text for _, text in app.last_texts][:3] == ["Be kind.", summary, "What now?"]
    use = app.last_prompt.tools
    assert use is not None
    assert use.choice.mode == ("auto" if most is None else "none")
    turns.append(answer("Bye"))
    await app.answer(input="Bye", previous_response_id=body["id"], tools=[IMAGE_TOOL])
    assert [message.role for message in app.last_prompt.messages][3:] == (
        ["assistant", "tool"] * (most is None) + ["assistant", "user"]
    )


async def test_a_summary_calls_no_hosted_tool() -> None:
    """A response that is a compaction has no turns, and the model that writes it sees no tools."""
    app = hosted_app(FakeServing(lambda _: answer("They met")))
    body = await app.answer(input=[*TALK, TRIGGER], tools=[IMAGE_TOOL])
    assert [item["type"] for item in body["output"]] == ["compaction"]
    assert app.last_prompt.tools is None
