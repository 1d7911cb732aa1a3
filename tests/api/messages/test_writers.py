"""Messages and their streams: blocks, reasons, usage, and errors in the middle."""

import asyncio
from typing import Any

import pytest

from homeport.api.application import build_application
from homeport.api.messages.output import OpenBlock, OutputRules
from homeport.api.messages.writers import _BlockFrames
from homeport.api.responses.sealed_text import open_sealed
from homeport.api.services import Limits
from homeport.domain.errors import EngineFailed
from homeport.domain.events import Admitted, ChoiceFinished, Done, ReasoningDelta, TextDelta, ToolCallDelta, Usage
from tests.api.fakes import FakeServing, Script, services
from tests.api.messages.calls import PATH, PLAIN, SECRET, WEATHER, events, post, script
from tests.api.text_generation.loop_server import Checkpoint, RawConnection, on_loop

THINKS: Script = script(
    [ReasoningDelta(0, "Let me"), ReasoningDelta(0, " think.")],
    [TextDelta(0, "I'll"), TextDelta(0, " look."), TextDelta(0, "")],
    [ToolCallDelta(0, 0, "call_1", "get_weather", ""), ToolCallDelta(0, 0, "", "", '{"city":')],
    [ToolCallDelta(0, 0, "", "", ' "Oslo"}'), ToolCallDelta(0, 1, "call_2", "get_weather", '{"city": "\u2028"}')],
    reason="tool_calls",
    usage=Usage(5, 20, 3, 4),
)


def added_up(stream: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the blocks that a stream's events add up to, checking their order."""
    blocks: list[dict[str, Any]] = []
    is_open = False
    for event in stream:
        if event["type"] == "content_block_start":
            assert (event["index"], is_open) == (len(blocks), False)
            blocks.append({**event["content_block"], "json": ""})
            is_open = True
        elif event["type"] == "content_block_delta":
            assert (event["index"], is_open) == (len(blocks) - 1, True)
            delta = event["delta"]
            kind, block = delta.pop("type"), blocks[-1]
            ((name, piece),) = delta.items()
            key = "json" if kind == "input_json_delta" else name
            assert kind.startswith(name) or kind == "input_json_delta"
            block[key] += piece
        elif event["type"] == "content_block_stop":
            assert (event["index"], is_open) == (len(blocks) - 1, True)
            is_open = False
    assert not is_open
    return blocks


async def test_a_stream_adds_up_to_the_whole_message() -> None:
    """Thinking, text and calls are blocks one after the other, in the stream as in the body."""
    whole = (await post(FakeServing(lambda _: THINKS), tools=[WEATHER])).json
    stream = events(await post(FakeServing(lambda _: THINKS), tools=[WEATHER], stream=True))
    blocks = added_up(stream)
    assert [block["type"] for block in whole["content"]] == ["thinking", "text", "tool_use", "tool_use"]
    assert [{**block, "json": ""} for block in whole["content"][:2]] == blocks[:2]
    for streamed, block in zip(blocks[2:], whole["content"][2:], strict=True):
        assert (streamed["id"], streamed["name"], streamed["input"]) == (block["id"], block["name"], {})
    assert [block["json"] for block in blocks[2:]] == ['{"city": "Oslo"}', '{"city": "\u2028"}']
    assert open_sealed(SECRET, blocks[0]["signature"]) == blocks[0]["thinking"] == "Let me think."


async def test_a_stream_begins_and_ends_as_anthropics() -> None:
    """The first event has the message without content, a ping follows; the last ones have reason and usage."""
    stream = events(await post(FakeServing(lambda _: THINKS), tools=[WEATHER], stream=True))
    message = stream[0]["message"]
    assert [event["type"] for event in stream[:2]] == ["message_start", "ping"]
    assert (message["content"], message["stop_reason"], message["role"]) == ([], None, "assistant")
    assert message["id"].startswith("msg_")
    assert message["usage"]["input_tokens"] == 5
    assert [event["type"] for event in stream[-2:]] == ["message_delta", "message_stop"]
    assert stream[-2]["delta"] == {"stop_reason": "tool_use", "stop_sequence": None}


async def test_usage_separates_cached_tokens() -> None:
    """Tokens that were computed before are not among `input_tokens`, and thinking is part of the output."""
    usage = (await post(FakeServing(lambda _: THINKS), tools=[WEATHER])).json["usage"]
    assert usage == {
        "input_tokens": 2,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 3,
        "output_tokens": 20,
        "output_tokens_details": {"thinking_tokens": 4},
        "service_tier": "standard",
    }


@pytest.mark.parametrize(
    ("reason", "tokens", "stop", "expected"),
    [
        ("stop", 2, "", ("end_turn", None)),
        ("stop", 2, "END", ("stop_sequence", "END")),
        ("length", 50, "", ("max_tokens", None)),
        ("length", 20, "", ("model_context_window_exceeded", None)),
    ],
)
@pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "stream"])
async def test_each_reason_has_anthropics_name(
    reason: str, tokens: int, stop: str, expected: tuple[str, str | None], is_streamed: bool
) -> None:
    """An answer ends by itself, at a stop sequence, at `max_tokens`, or where the window does."""
    done = script([TextDelta(0, "Hi")], reason=reason, usage=Usage(5, tokens), stop=stop)
    response = await post(FakeServing(lambda _: done), stream=is_streamed)
    seen = events(response)[-2]["delta"] if is_streamed else response.json
    assert (seen["stop_reason"], seen["stop_sequence"]) == expected


async def test_a_limit_of_the_key_is_no_full_window() -> None:
    """An answer that a limit of the key cuts ends as at `max_tokens`, however short it is."""
    cut: Script = [[Admitted(5)], [TextDelta(0, "Hi")], [ChoiceFinished(0, "length", True)], [Done(Usage(5, 1))]]
    assert (await post(FakeServing(lambda _: cut))).json["stop_reason"] == "max_tokens"


@pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "stream"])
async def test_hidden_thinking_is_in_its_signature(is_streamed: bool) -> None:
    """With `display` omitted only the signature is returned, which this server reads when it comes back."""
    serving = FakeServing(lambda _: script([ReasoningDelta(0, "Hm.")], [TextDelta(0, "Yes.")]))
    response = await post(serving, thinking={"type": "adaptive", "display": "omitted"}, stream=is_streamed)
    blocks = added_up(events(response)) if is_streamed else response.json["content"]
    assert blocks[0]["thinking"] == ""
    assert open_sealed(SECRET, blocks[0]["signature"]) == "Hm."


async def test_an_error_in_the_middle_is_an_event() -> None:
    """A stream that breaks ends with an error in Anthropic's format, with the id of the request."""
    broken: Script = [[Admitted(5)], [TextDelta(0, "Hi")], EngineFailed("It broke.")]
    response = await post(FakeServing(lambda _: broken), stream=True)
    *_, last = events(response)
    assert last == {
        "type": "error",
        "error": {"type": "api_error", "message": "It broke."},
        "request_id": response.headers["request-id"],
    }


async def test_an_empty_answer_has_no_blocks() -> None:
    """An answer that ends at once has empty content, whole and streamed."""
    empty: Script = [[Admitted(5)], [ChoiceFinished(0, "stop")], [Done(Usage(5, 1))]]
    assert (await post(FakeServing(lambda _: empty))).json["content"] == []
    stream = events(await post(FakeServing(lambda _: empty), stream=True))
    assert [event["type"] for event in stream] == ["message_start", "ping", "message_delta", "message_stop"]


async def test_pings_are_events_and_a_disconnect_frees_the_worker() -> None:
    """During silence events keep the connection alive instead of comments, and the work ends with the connection."""
    gate = Checkpoint()
    serving = FakeServing(lambda _: [[Admitted(5)], gate, [ChoiceFinished(0, "stop")], [Done(Usage(5, 1))]])
    async with on_loop(build_application(services(serving, limits=Limits(ping_s=0.02)))) as port:
        line = await RawConnection.post(port, PATH, {**PLAIN, "stream": True})
        await line.until(b"message_start")
        for _ in range(3):
            await line.until(b'event: ping\ndata: {"type":"ping"}\n\n')
        assert not serving.streams[0].closed.is_set()
        await line.leave()
        await asyncio.wait_for(serving.streams[0].closed.wait(), 10)


def test_spliced_deltas_are_what_the_encoder_writes() -> None:
    """A delta's frame is valid JSON for any text, with line ends of Unicode escaped."""
    pieces: list[bytes] = []
    frames = _BlockFrames(pieces, OutputRules(seal=str.upper))
    block = OpenBlock(3, "thinking")
    frames.on_open(block)
    pieces.clear()
    frames.on_text(block, 'a"\\\n\u2028é')
    assert b"".join(pieces) == (
        b'event: content_block_delta\ndata: {"type":"content_block_delta","index":3,"delta":'
        b'{"type":"thinking_delta","thinking":"a\\"\\\\\\n\\u2028\xc3\xa9"}}\n\n'
    )
