"""Responses whose model calls hosted tools: turns, limits, failures, and what is stored of them."""

import asyncio
import json
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import pytest
from starlette.requests import Request

from homeport.api.response_dispatcher import InProcessResponseDispatcher
from homeport.api.responses import tool_reader
from homeport.api.responses.events import CallProgressed
from homeport.api.responses.hosted_tools import (
    HostedCall,
    HostedDeclaration,
    HostedFunction,
    HostedOffer,
    HostedStep,
    ItemFinished,
    ItemPlace,
    ItemStarted,
)
from homeport.api.responses.output_items import OutputImageCall
from homeport.api.responses.plan import CallTarget
from homeport.api.responses.tool_turns import MAX_TURNS
from homeport.domain.content import ToolCallPart, ToolResultPart
from homeport.domain.errors import EngineFailed, InvalidRequest, Overloaded, Unavailable
from homeport.domain.events import Admitted, Usage
from homeport.domain.tools import Tool, ToolChoice
from homeport.serving.responses.run import ResponseRun, RunDeps
from homeport.serving.responses.signals import ResponseSignals
from tests.api.admin.test_usage import MemoryLedger
from tests.api.fakes import answer
from tests.api.responses.calls import FUNCTION, ResponseApp
from tests.api.responses.hosted import (
    IMAGE_TOOL,
    RESULT,
    TurnServing,
    calls,
    events_of,
    failing_with,
    hosted_app,
    images,
    output_of,
    painting,
)
from tests.openai_schemas import check_event

ADD = ("add", '{"a": 1}')
NO_TOOLS = ToolChoice("none")


def types_of(items: Sequence[dict[str, Any]]) -> list[str]:
    """Return the types of items or events, without what all types of responses' events begin with."""
    return [each["type"].removeprefix("response.") for each in items]


async def waiting_tool(serving: TurnServing) -> None:
    """Wait until the tool's engine request, the second of all, waits for its gate."""
    while len(serving.streams) < 2:
        serving.opened.clear()
        await serving.opened.wait()
    await serving.streams[1].waits.wait()


async def test_the_model_continues_after_a_hosted_call() -> None:
    """The server executes the call, and the model's next turn reads it with its result; usage is that of all turns."""
    first, last = calls(painting(), usage=Usage(5, 2, 1, 1)), answer("Here it is.", prompt_tokens=7, cached=3)
    serving = TurnServing(first, last)
    app = hosted_app(serving)
    body = await app.answer(tools=[IMAGE_TOOL], temperature=0.5)
    call, message = output_of(body)
    assert (call["type"], call["status"], call["result"]) == ("image_generation_call", "completed", RESULT)
    assert message["content"][0]["text"] == "Here it is."
    assert [len(serving.texts), len(serving.images)] == [2, 1]
    assert serving.texts[1].sampling == serving.texts[0].sampling
    question, asked, result = serving.prompts[1].messages
    assert (question.text, asked.role, result.role) == ("Hello", "assistant", "tool")
    assert asked.parts == (ToolCallPart("hosted_1", "image_generation", '{"prompt":"a cat"}'),)
    assert result.parts == (ToolResultPart("hosted_1", "The image was made and is shown to the user."),)
    assert (body["usage"]["input_tokens"], body["usage"]["output_tokens"]) == (12, 5)
    assert body["usage"]["input_tokens_details"]["cached_tokens"] == 4
    assert body["usage"]["output_tokens_details"]["reasoning_tokens"] == 1
    [stored] = app.responses.responses.values()
    assert [item.id for item in stored.output] == [call["id"], message["id"]]


async def test_a_stream_has_one_numbering() -> None:
    """All turns are one stream: one response, numbers and indexes without gaps, and the same end as a whole answer."""
    turns = (calls(painting(), text="Wait."), answer("Done"))
    events = events_of(await hosted_app(TurnServing(*turns)).create(tools=[IMAGE_TOOL], stream=True))
    assert types_of(events) == [
        *("created", "in_progress", "output_item.added", "content_part.added", "output_text.delta"),
        *("output_text.done", "content_part.done", "output_item.done", "output_item.added"),
        *("image_generation_call.in_progress", "image_generation_call.generating", "image_generation_call.completed"),
        *("output_item.done", "output_item.added", "content_part.added", "output_text.delta", "output_text.done"),
        *("content_part.done", "output_item.done", "completed"),
    ]
    assert [event["output_index"] for event in events if "output_index" in event] == [0] * 6 + [1] * 5 + [2] * 6
    assert [event["item"]["status"] for event in events if "item" in event] == ["in_progress", "completed"] * 3
    whole = await hosted_app(TurnServing(*turns)).answer(tools=[IMAGE_TOOL])
    last = events[-1]["response"]
    unlike = {"id", "created_at", "completed_at", "output"}
    assert {name: value for name, value in last.items() if name not in unlike} == {
        name: value for name, value in whole.items() if name not in unlike
    }
    assert [{**item, "id": ""} for item in output_of(last)] == [{**item, "id": ""} for item in output_of(whole)]


async def test_calls_of_one_turn_are_executed_in_order() -> None:
    """Several hosted calls of one turn are items in the order of the calls, and the next turn reads all of them."""
    serving = TurnServing(calls(painting("one"), painting("two")), answer("Two"))
    output = output_of(await hosted_app(serving).answer(tools=[IMAGE_TOOL]))
    assert [item.get("revised_prompt") for item in output] == ["one", "two", None]
    assert [request.prompt for request in serving.images] == ["one", "two"]
    assert [message.role for message in serving.prompts[1].messages] == ["user", *["assistant", "tool"] * 2]


async def test_calls_above_the_limit_are_ignored() -> None:
    """`max_tool_calls` bounds the calls of all turns; when none is left the model can call no hosted tool."""
    serving = TurnServing(calls(painting("one")), calls(painting("two"), painting("three")), answer("Two"))
    output = output_of(await hosted_app(serving).answer(tools=[IMAGE_TOOL, FUNCTION], max_tool_calls=2))
    assert [item.get("revised_prompt") for item in output] == ["one", "two", None]
    assert serving.choices == [ToolChoice(), ToolChoice(), ToolChoice("auto", ("add",))]


@pytest.mark.parametrize("choice", ["auto", "required", IMAGE_TOOL])
async def test_no_call_may_be_allowed_at_all(choice: Any) -> None:
    """With `max_tool_calls: 0` the model cannot call hosted tools, not even if it must."""
    serving = TurnServing(answer("No"))
    body = await hosted_app(serving).answer(tools=[IMAGE_TOOL], max_tool_calls=0, tool_choice=choice)
    assert (types_of(output_of(body)), serving.choices) == (["message"], [NO_TOOLS])


async def test_the_number_of_turns_is_bounded() -> None:
    """A model that never stops calling has a last turn, in which it can call no hosted tool; then the response ends."""
    serving = TurnServing(calls(painting()))
    body = await hosted_app(serving).answer(tools=[IMAGE_TOOL])
    assert len(serving.texts) == MAX_TURNS
    assert serving.choices == [ToolChoice()] * (MAX_TURNS - 1) + [NO_TOOLS]
    assert body["status"] == "completed"


async def test_the_header_lists_what_any_turn_left_out() -> None:
    """A whole answer says that messages were left out, also if only a later turn did not fit."""
    later = [[Admitted(7, (), changes=("dropped 2",))], *answer("Done")[1:]]
    response = await hosted_app(TurnServing(calls(painting()), later)).create(tools=[IMAGE_TOOL])
    assert response.headers["x-homeport-messages"] == "dropped 2"


@pytest.mark.parametrize(
    ("choice", "first"),
    [(IMAGE_TOOL, ToolChoice("named", ("image_generation",))), ("required", ToolChoice("required"))],
)
async def test_what_must_be_called_is_called_once(choice: Any, first: ToolChoice) -> None:
    """`tool_choice` holds for the first turn: after it the model may answer."""
    serving = TurnServing(calls(painting(), reason="stop"), answer("Done"))
    await hosted_app(serving).answer(tools=[IMAGE_TOOL, FUNCTION], tool_choice=choice)
    assert serving.choices == [first, ToolChoice()]


async def test_tools_that_are_not_allowed_stay_so() -> None:
    """The names of `allowed_tools` hold for all turns."""
    serving = TurnServing(calls(painting(), reason="stop"), answer("Done"))
    choice = {"type": "allowed_tools", "mode": "required", "tools": [IMAGE_TOOL]}
    await hosted_app(serving).answer(tools=[IMAGE_TOOL, FUNCTION], tool_choice=choice)
    names = ("image_generation",)
    assert serving.choices == [ToolChoice("required", names), ToolChoice("auto", names)]


async def test_a_failed_call_does_not_fail_the_response() -> None:
    """The item of a call that failed says why, and so does what the model reads."""
    serving = TurnServing(calls(painting()), answer("Sorry"), painter=failing_with(EngineFailed("No colours left.")))
    body = await hosted_app(serving).answer(tools=[IMAGE_TOOL])
    call, _ = output_of(body)
    assert (body["status"], call["status"], call["result"]) == ("completed", "failed", None)
    assert call["error"] == "No colours left."
    (told,) = serving.prompts[1].messages[-1].parts
    assert told == ToolResultPart("hosted_1", "The image could not be made. No colours left.")


async def test_a_call_for_the_caller_ends_the_response() -> None:
    """Hosted calls of the same turn are executed before; the next response reads both with their results."""
    serving = TurnServing(calls(ADD, painting()), answer("Three"))
    app = hosted_app(serving)
    first = await app.answer(tools=[IMAGE_TOOL, FUNCTION])
    assert types_of(output_of(first)) == ["function_call", "image_generation_call"]
    assert len(serving.texts) == 1
    result = {"type": "function_call_output", "call_id": first["output"][0]["call_id"], "output": "3"}
    await app.answer(input=[result], previous_response_id=first["id"], tools=[IMAGE_TOOL, FUNCTION])
    _, asked, *results = serving.prompts[1].messages
    assert [part.name for part in asked.parts if isinstance(part, ToolCallPart)] == ["add", "image_generation"]
    assert [part.text for message in results for part in message.parts if isinstance(part, ToolResultPart)] == [
        "3",
        "The image was made and is shown to the user.",
    ]


async def test_a_turn_that_was_cut_executes_nothing() -> None:
    """A turn that ends by length ends the response as incomplete, and its calls are not executed."""
    serving = TurnServing(calls(painting(), reason="length"))
    body = await hosted_app(serving).answer(tools=[IMAGE_TOOL])
    assert (body["status"], output_of(body), serving.images) == ("incomplete", [], [])


async def test_all_turns_together_keep_the_limit_of_tokens() -> None:
    """Each turn may use what the others left of `max_output_tokens`; without any left the response is incomplete."""
    turns = (calls(painting(), usage=Usage(5, 6)), calls(painting(), usage=Usage(9, 4)), answer("Never"))
    serving = TurnServing(*turns)
    body = await hosted_app(serving).answer(tools=[IMAGE_TOOL], max_output_tokens=10)
    assert [request.stopping.max_tokens for request in serving.texts] == [10, 4]
    assert body["incomplete_details"] == {"reason": "max_output_tokens"}
    assert types_of(output_of(body)) == ["image_generation_call"] * 2


async def test_an_error_in_a_later_turn_fails_the_response() -> None:
    """The items that were complete are kept and stored; a whole answer is the error."""
    for error, status in ((Overloaded("Busy."), 429), (InvalidRequest("Too long."), 400)):
        turns = (calls(painting()), failing_with(error))
        app = hosted_app(TurnServing(*turns))
        events = events_of(await app.create(tools=[IMAGE_TOOL], stream=True))
        assert types_of(events)[-2:] == ["error", "failed"]
        failed = events[-1]["response"]
        assert (failed["error"]["message"], types_of(output_of(failed))) == (error.message, ["image_generation_call"])
        assert failed["usage"]["output_tokens"] == 2
        [stored] = app.responses.responses.values()
        assert (stored.status, len(stored.output)) == ("failed", 1)
        whole = await hosted_app(TurnServing(*turns)).create(tools=[IMAGE_TOOL])
        assert (whole.status, whole.error["message"]) == (status, error.message)


async def test_the_next_response_reads_the_same_by_any_way() -> None:
    """A response continued by id, by conversation, by items or by references begins with the prompt of its turns."""
    prompts = []
    for way in ("previous", "conversation", "items", "references"):
        serving = TurnServing(calls(painting()), answer("Here"), answer("Bye"))
        app = hosted_app(serving)
        conversation = app.conversations.create("local", {}, ()).id if way == "conversation" else None
        first = await app.answer(input="Draw", tools=[IMAGE_TOOL], conversation=conversation)
        question: dict[str, Any] = {"role": "user", "content": "Thanks"}
        items, fields = [question], {"conversation": conversation}
        if way == "previous":
            fields = {"previous_response_id": first["id"]}
        elif way == "items":
            items = [{"role": "user", "content": "Draw"}, *first["output"], question]
        elif way == "references":
            references = [{"type": "item_reference", "id": item["id"]} for item in first["output"]]
            items = [{"role": "user", "content": "Draw"}, *references, question]
        await app.answer(input=items, tools=[IMAGE_TOOL], **fields)
        before, after = serving.prompts[1:]
        assert after.messages[:3] == before.messages
        prompts.append([[type(part).__name__ for part in message.parts] for message in after.messages])
    assert prompts == [prompts[0]] * 4


async def test_a_caller_that_leaves_ends_the_tool() -> None:
    """When the caller disconnects, the engine of the tool is freed at once and no turn follows."""
    gate = asyncio.Event()
    serving = TurnServing(calls(painting()), answer("Never"), painter=images(gate))
    task = asyncio.create_task(hosted_app(serving).create(tools=[IMAGE_TOOL], stream=True))
    async with asyncio.timeout(10):
        await waiting_tool(serving)
        assert serving.streams[0].closed.is_set()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert (serving.streams[1].closed.is_set(), serving.streams[1].finished, len(serving.texts)) == (True, False, 1)


def background_run(app: ResponseApp) -> ResponseRun:
    """Claim the queued response, whose run sends its request through the application."""
    response = app.responses.claim("owner", 30)
    assert response is not None
    dispatch = InProcessResponseDispatcher(app.app, lambda: "localhost:8080")
    deps = RunDeps(app.responses, app.conversations, dispatch, ResponseSignals(), asyncio.Semaphore(1))
    return ResponseRun(deps, "owner", response)


async def test_a_background_response_has_turns() -> None:
    """A background response executes hosted calls too; its stored events are one stream, and its end has all items."""
    serving = TurnServing(calls(painting()), answer("Here"))
    app = hosted_app(serving)
    conversation = app.conversations.create("local", {}, ()).id
    queued = await app.answer(tools=[IMAGE_TOOL], background=True, conversation=conversation)
    assert (queued["status"], serving.requests) == ("queued", [])
    async with asyncio.timeout(10):
        await background_run(app).run()
    stored = app.responses.responses[queued["id"]]
    assert (stored.status, [item.id[:3] for item in stored.output]) == ("completed", ["ig_", "msg"])
    events = [json.loads(event.body) for event in app.responses.events[stored.id]]
    for event in events:
        check_event(event)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert types_of(events)[3:7] == [
        *("output_item.added", "image_generation_call.in_progress", "image_generation_call.generating"),
        "image_generation_call.completed",
    ]
    assert len(app.conversations.items("local", conversation)) == 3


async def test_a_cancelled_background_response_ends_its_tool() -> None:
    """Cancelling frees the tool's engine at once, and what was complete is kept."""
    gate = asyncio.Event()
    serving = TurnServing(calls(painting(), text="Wait."), answer("Never"), painter=images(gate))
    app = hosted_app(serving)
    queued = await app.answer(tools=[IMAGE_TOOL], background=True)
    run = background_run(app)
    async with asyncio.timeout(10):
        running = asyncio.create_task(run.run())
        await waiting_tool(serving)
        run.cancel()
        await running
    stored = app.responses.responses[queued["id"]]
    assert (stored.status, [item.id[:3] for item in stored.output]) == ("cancelled", ["msg"])
    assert (serving.streams[1].closed.is_set(), len(serving.texts)) == (True, 1)


@pytest.mark.parametrize("is_streamed", [False, True])
async def test_every_engine_request_is_recorded(is_streamed: bool) -> None:
    """The usage records have each turn, and what each tool has run, with its own model and cost."""
    ledger = MemoryLedger()
    turns = (calls(painting(), usage=Usage(5, 2)), answer("Here it is", prompt_tokens=8))
    app = hosted_app(TurnServing(*turns), ledger=ledger)
    await app.create(tools=[IMAGE_TOOL], stream=is_streamed)
    recorded = [(each.model, each.endpoint, each.prompt_tokens, each.completion_tokens) for each in ledger.records]
    assert recorded == [("tiny", "responses", 5, 2), ("painter", "images", 0, 0), ("tiny", "responses", 8, 3)]
    assert {each.status for each in ledger.records} == {"ok"}
    assert len({each.request for each in ledger.records}) == 1


class FakeTool:
    """A hosted tool whose items need the caller if the arguments say so."""

    async def run(self, call: HostedCall, place: ItemPlace) -> AsyncGenerator[HostedStep, None]:
        """Make an item whose result is the arguments."""
        item = OutputImageCall(id=place.item_id("ig"), status="completed", result=call.arguments)
        yield ItemStarted(item)
        yield CallProgressed(type="response.image_generation_call.completed", item_id=item.id, output_index=place.index)
        if "break" in call.arguments:
            raise Unavailable("The tool is broken.")
        yield ItemFinished(item, needs_caller="ask" in call.arguments)


def use_fake_tool(monkeypatch: pytest.MonkeyPatch, *, listed: int = 0, pending: Sequence[str] = ()) -> None:
    """Replace the tool by a fake one with two functions, `listed` items to begin with, and `pending` calls."""

    def make_known(place: ItemPlace) -> Sequence[HostedStep]:
        item = OutputImageCall(id=place.item_id("ig"), status="completed", result="known")
        return [ItemStarted(item), ItemFinished(item)]

    async def read(_: Request, declared: HostedDeclaration) -> HostedOffer:
        tool = FakeTool()
        functions = [
            HostedFunction(Tool(name, param=declared.place), CallTarget("image_generation", name))
            for name in ("f", "g")
        ]
        waiting = [lambda place, text=text: tool.run(HostedCall(functions[0].target, text), place) for text in pending]
        return HostedOffer(functions, tool, [make_known] * listed, waiting)

    monkeypatch.setitem(tool_reader.READERS, "image_generation", read)


async def test_items_that_are_known_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """The output begins with the items that a tool lists, which the first turn does not wait for."""
    use_fake_tool(monkeypatch, listed=2)
    serving = TurnServing(answer("Hi"))
    events = events_of(await hosted_app(serving).create(tools=[IMAGE_TOOL], stream=True))
    assert types_of(events)[:6] == ["created", "in_progress", *["output_item.added", "output_item.done"] * 2]
    assert types_of(output_of(events[-1]["response"])) == ["image_generation_call"] * 2 + ["message"]
    assert output_of(await hosted_app(serving).answer(tools=[IMAGE_TOOL]))[0]["result"] == "known"
    assert len(serving.texts) == 2


async def test_pending_calls_are_executed_before_the_first_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the caller has approved is executed after the stream has begun, and the first turn reads the results."""
    use_fake_tool(monkeypatch, listed=1, pending=["one", "two"])
    for is_streamed in (True, False):
        serving = TurnServing(calls(("g", "three"), ("g", "four")), answer("Hi"))
        response = await hosted_app(serving).create(tools=[IMAGE_TOOL], stream=is_streamed, max_tool_calls=3)
        body = events_of(response)[-1]["response"] if is_streamed else response.json
        assert [item.get("result") for item in output_of(body)] == ["known", "one", "two", "three", None]
        assert [len(prompt.messages) for prompt in serving.prompts] == [7, 9]
        assert serving.choices == [ToolChoice(), NO_TOOLS]
        assert body["usage"]["input_tokens"] == 10


async def test_pending_calls_are_no_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bound on turns counts those of the model."""
    use_fake_tool(monkeypatch, pending=["one"])
    serving = TurnServing(calls(("f", "more")))
    await hosted_app(serving).answer(tools=[IMAGE_TOOL])
    assert serving.choices == [ToolChoice()] * (MAX_TURNS - 1) + [NO_TOOLS]


async def test_an_engine_that_refuses_after_pending_calls_fails_the_response(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stream has begun by then, so the refusal is its end, and what was executed is kept."""
    use_fake_tool(monkeypatch, pending=["one"])
    serving = TurnServing(answer("Hi"))
    serving.refusal = Overloaded("Busy.")
    events = events_of(await hosted_app(serving).create(tools=[IMAGE_TOOL], stream=True))
    assert types_of(events)[-2:] == ["error", "failed"]
    assert [item["result"] for item in output_of(events[-1]["response"])] == ["one"]


async def test_an_item_that_needs_the_caller_ends_the_response(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other calls of the turn are executed, and the model does not continue."""
    use_fake_tool(monkeypatch)
    serving = TurnServing(calls(("f", "ask"), ("g", "tell")), answer("Never"))
    body = await hosted_app(serving).answer(tools=[IMAGE_TOOL])
    assert [item["result"] for item in output_of(body)] == ["ask", "tell"]
    assert (body["status"], len(serving.texts)) == ("completed", 1)


async def test_what_a_tool_raises_fails_the_response(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tool that raises ends a stream with the error, and a whole answer is the error."""
    use_fake_tool(monkeypatch)
    turn = calls(("f", "break"))
    events = events_of(await hosted_app(TurnServing(turn)).create(tools=[IMAGE_TOOL], stream=True))
    assert (types_of(events)[-1], events[-2]["message"]) == ("failed", "The tool is broken.")
    assert (await hosted_app(TurnServing(turn)).create(tools=[IMAGE_TOOL])).status == 503
