"""Whole answers and streams of chats report the same message: content, reasoning and calls, of today and of 2023."""

import asyncio
import json
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from homeport.api.chat.call_render import CallRenderer
from homeport.api.chat.render import ChatRenderer
from homeport.api.request_context import RequestContext
from homeport.api.streaming import sse_event
from homeport.api.text_generation.writers import TextAnswerWriter, TextStreamWriter
from homeport.api.writer import AnswerMetadata, Writer
from homeport.domain.events import (
    Admitted,
    ChoiceFinished,
    Done,
    Event,
    ReasoningDelta,
    ScoredToken,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from tests.api.fakes import FakeServing, Script
from tests.api.text_generation.calls import events, post

ANSWER = AnswerMetadata(Admitted(3, (4,)), 1_700_000_000, 'a "model" \u2028 \\ 模型', "fp_1")
USAGE = Usage(3, 9, 1, 4, 2, 5)
CUSTOM = frozenset({"shell"})
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
WORDS = TEXTS.filter(bool)


def _renderer(*, has_logprobs: bool = False, is_legacy: bool = False) -> ChatRenderer:
    calls = CallRenderer(is_legacy=is_legacy, custom=CUSTOM)
    return ChatRenderer(ANSWER, has_logprobs=has_logprobs, has_usage=True, calls=calls)


def _stream(renderer: ChatRenderer, *, is_padded: bool = False) -> TextStreamWriter:
    writer = TextStreamWriter(lambda _: renderer, RequestContext(), is_padded=is_padded)
    writer.on_admitted(ANSWER)
    return writer


def _written(writer: Writer, batches: Sequence[Sequence[Event]]) -> bytes:
    writer.usage = USAGE
    parts = [writer.write(batch) for batch in batches]
    return b"".join([*parts, asyncio.run(writer.finish())])


def _chunks(batches: Sequence[Sequence[Event]], *, is_padded: bool = False, **changes: bool) -> list[dict[str, Any]]:
    """Return the chunks of a stream."""
    frames = _written(_stream(_renderer(**changes), is_padded=is_padded), batches).split(b"\n\n")
    assert frames[-2:] == [b"data: [DONE]", b""]
    return [json.loads(frame.removeprefix(b"data: ")) for frame in frames[:-2]]


def _whole(batches: Sequence[Sequence[Event]], **changes: bool) -> dict[str, Any]:
    writer = TextAnswerWriter(lambda _: _renderer(**changes), RequestContext())
    writer.on_admitted(ANSWER)
    decoded: dict[str, Any] = json.loads(_written(writer, batches))
    return decoded


def _call(index: int, name: str, pieces: Sequence[str]) -> list[ToolCallDelta]:
    """Make the deltas of a call of choice 0; the first one may have arguments, too."""
    first = ToolCallDelta(0, index, f"call_{index}", name, pieces[0])
    return [first, *(ToolCallDelta(0, index, "", "", piece) for piece in pieces[1:])]


@st.composite
def _choice(draw: st.DrawFn) -> list[Event]:
    """The events of choice 0: a thought, then texts and calls in any order, then the end."""
    found: list[Event] = [ReasoningDelta(0, text) for text in draw(st.lists(WORDS, max_size=3))]
    n_calls = 0
    for part in draw(st.lists(st.one_of(WORDS, st.lists(TEXTS, min_size=1, max_size=3)), max_size=5)):
        if isinstance(part, str):
            found.append(TextDelta(0, part))
        else:
            found += _call(n_calls, draw(st.sampled_from(["clock", "shell"])), part)
            n_calls += 1
    reason = "tool_calls" if n_calls else "stop"
    return [*found, ChoiceFinished(0, draw(st.sampled_from([reason, "length"])))]


@st.composite
def _batches(draw: st.DrawFn) -> list[list[Event]]:
    """The events of one or two choices in any order and any batches, then the end."""
    choices = [draw(_choice()) for _ in range(draw(st.integers(1, 2)))]
    order = draw(st.permutations([index for index, each in enumerate(choices) for _ in each]))
    order.remove(0)
    order.insert(0, 0)  # the client expects choice 0 in the first chunk
    queues = [iter(each) for each in choices]
    merged: list[Event] = []
    for index in order:
        event: Any = next(queues[index])
        merged.append(msgspec.structs.replace(event, choice=index))
    cuts = sorted(draw(st.lists(st.integers(0, len(merged)), max_size=4)))
    bounds = [0, *cuts, len(merged)]
    return [*(merged[at:end] for at, end in pairwise(bounds)), [Done(USAGE)]]


def _without_nulls(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_nulls(each) for each in value]
    if isinstance(value, dict):
        return {name: _without_nulls(each) for name, each in value.items() if each is not None}
    return value


def _accumulated(chunks: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the choices that the official client makes of a stream."""
    state: Any = ChatCompletionStreamState()
    for chunk in chunks:
        state.handle_chunk(ChatCompletionChunk.construct(**chunk))
    choices: list[dict[str, Any]] = state.current_completion_snapshot.to_dict()["choices"]
    return choices


@pytest.mark.parametrize("is_legacy", [False, True], ids=["today", "2023"])
@settings(max_examples=150, deadline=None)
@given(_batches())
def test_the_official_client_makes_the_whole_message_of_a_stream(is_legacy: bool, batches: list[list[Event]]) -> None:
    """Any order of thoughts, texts and calls accumulates to the message, reason and usage of the whole answer."""
    chunks, whole = _chunks(batches, is_legacy=is_legacy), _whole(batches, is_legacy=is_legacy)
    ChatCompletion.model_validate(whole)
    assert chunks[-1]["usage"] == whole["usage"]
    for streamed, choice in zip(_accumulated(chunks), whole["choices"], strict=True):
        message = streamed["message"]
        for call in message.get("tool_calls") or ():
            call.pop("index")
            (call.get("function") or {}).pop("parsed_arguments", None)
        assert _without_nulls(message) == _without_nulls(choice["message"])
        assert streamed["finish_reason"] == choice["finish_reason"]


@settings(max_examples=60, deadline=None)
@given(_batches())
def test_padding_adds_one_field_to_each_chunk(batches: list[list[Event]]) -> None:
    """Every padded chunk is the plain one followed by `obfuscation` of 1 to 32 characters."""
    padded = _chunks(batches, is_padded=True)
    ids = {chunk.pop("id") for chunk in padded}
    assert len(ids) == 1
    assert all(1 <= len(chunk.pop("obfuscation")) <= 32 for chunk in padded)
    assert padded == [{name: chunk[name] for name in chunk if name != "id"} for chunk in _chunks(batches)]


@settings(max_examples=150, deadline=None)
@given(text=WORDS, choice=st.integers(0, 200), index=st.integers(0, 127), name=st.sampled_from(["clock", "shell"]))
def test_spliced_frames_are_what_the_encoder_writes(text: str, choice: int, index: int, name: str) -> None:
    """The frames of reasoning and of arguments are byte for byte the encoded chunks."""
    renderer = _renderer()
    writer = _stream(renderer)
    writer.write([ReasoningDelta(choice, "first"), ToolCallDelta(choice, index, "call_1", name, "first")])
    frame = writer.write([ReasoningDelta(choice, text)])
    assert frame == sse_event(msgspec.json.encode(renderer.reasoning(choice, text)))
    frame = writer.write([ToolCallDelta(choice, index, "", "", text)])
    assert frame == sse_event(msgspec.json.encode(renderer.arguments(choice, index, text)))


ONE_CALL: list[Event] = [*_call(0, "clock", ["", '{"a": ', "1}"]), ChoiceFinished(0, "tool_calls"), Done(USAGE)]


def test_a_stream_of_a_call_has_name_and_id_once() -> None:
    """The first chunk has a null content and the role, the next one the call's id, type and name, the others pieces."""
    deltas = [chunk["choices"][0]["delta"] for chunk in _chunks([ONE_CALL])[:-1]]
    begin = {"index": 0, "id": "call_0", "type": "function", "function": {"name": "clock", "arguments": ""}}
    assert deltas == [
        {"role": "assistant", "content": None, "refusal": None},
        {"tool_calls": [begin]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"a": '}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": "1}"}}]},
        {},
    ]


def test_a_whole_call_has_no_content() -> None:
    """Beside calls without text, content is null, and the details of the usage are reported."""
    whole = _whole([ONE_CALL])
    (choice,) = whole["choices"]
    call = {"id": "call_0", "type": "function", "function": {"name": "clock", "arguments": '{"a": 1}'}}
    assert choice["message"] == {"content": None, "role": "assistant", "refusal": None, "tool_calls": [call]}
    assert choice["finish_reason"] == "tool_calls"
    assert whole["usage"]["completion_tokens_details"] == {
        "reasoning_tokens": 4,
        "audio_tokens": 0,
        "accepted_prediction_tokens": 2,
        "rejected_prediction_tokens": 5,
    }


def test_a_custom_tool_receives_text() -> None:
    """The call of a custom tool has its type and its input, whole and streamed."""
    batch: list[Event] = [*_call(0, "shell", ["", "ls"]), ChoiceFinished(0, "tool_calls"), Done(USAGE)]
    expected = {"id": "call_0", "type": "custom", "custom": {"name": "shell", "input": "ls"}}
    assert _whole([batch])["choices"][0]["message"]["tool_calls"] == [expected]
    deltas = [chunk["choices"][0]["delta"] for chunk in _chunks([batch])[1:3]]
    assert [delta["tool_calls"][0] for delta in deltas] == [
        {"index": 0, "id": "call_0", "type": "custom", "custom": {"name": "shell", "input": ""}},
        {"index": 0, "custom": {"input": "ls"}},
    ]


def test_functions_of_2023_have_one_call() -> None:
    """2023's answers have the first call only, as `function_call`, which is the reason, too."""
    batch: list[Event] = [
        *_call(0, "clock", ["{}"]),
        *_call(1, "clock", ["{}"]),
        ChoiceFinished(0, "tool_calls"),
        Done(USAGE),
    ]
    (choice,) = _whole([batch], is_legacy=True)["choices"]
    assert choice["message"]["function_call"] == {"name": "clock", "arguments": "{}"}
    assert "tool_calls" not in choice["message"]
    assert choice["finish_reason"] == "function_call"
    deltas = [chunk["choices"][0]["delta"] for chunk in _chunks([batch], is_legacy=True)[1:-1]]
    assert deltas == [
        {"function_call": {"name": "clock", "arguments": ""}},
        {"function_call": {"arguments": "{}"}},
        {},
    ]


@pytest.mark.parametrize("is_legacy", [False, True], ids=["today", "2023"])
def test_a_reason_of_the_engine_stays(is_legacy: bool) -> None:
    """`length` and `stop` are reported as they are, also beside calls."""
    for reason in ("length", "stop"):
        batch: list[Event] = [*_call(0, "clock", ["{"]), ChoiceFinished(0, reason), Done(USAGE)]
        assert _whole([batch], is_legacy=is_legacy)["choices"][0]["finish_reason"] == reason


def test_reasoning_has_two_names_and_is_absent_without_any() -> None:
    """A thought is in `reasoning_content` and in `reasoning`; a message without one has neither."""
    batch: list[Event] = [ReasoningDelta(0, "Hm"), ReasoningDelta(0, "."), TextDelta(0, "x"), ChoiceFinished(0, "stop")]
    message = _whole([[*batch, Done(USAGE)]])["choices"][0]["message"]
    assert (message["reasoning_content"], message["reasoning"], message["content"]) == ("Hm.", "Hm.", "x")
    plain = _whole([[TextDelta(0, "x"), ChoiceFinished(0, "stop"), Done(USAGE)]])["choices"][0]["message"]
    assert plain == {"content": "x", "role": "assistant", "refusal": None}


def test_scores_are_those_of_the_content() -> None:
    """Logprobs cover the content; without content they are null, and a call does not end a text's scores."""
    scored = ScoredToken("x", b"x", -0.5, 0)
    with_text: list[Event] = [TextDelta(0, "x", (scored,)), *ONE_CALL]
    (choice,) = _whole([with_text], has_logprobs=True)["choices"]
    assert [each["token"] for each in choice["logprobs"]["content"]] == ["x"]
    (choice,) = _whole([ONE_CALL], has_logprobs=True)["choices"]
    assert choice["logprobs"] == {"content": None, "refusal": None}


def _scripted(_: Any) -> Script:
    return [[Admitted(5, (10,))], *([event] for event in ONE_CALL)]


@pytest.mark.parametrize(
    ("tools", "expected"),
    [
        ({"tools": [{"type": "function", "function": {"name": "clock"}}]}, "tool_calls"),
        ({"tools": [{"type": "custom", "custom": {"name": "clock"}}]}, "tool_calls"),
        ({"functions": [{"name": "clock"}]}, "function_call"),
    ],
)
async def test_an_answer_has_the_form_of_the_request(tools: dict[str, Any], expected: str) -> None:
    """The kind of the declared tools decides how a call is written, whole and streamed."""
    whole = await post("chat", FakeServing(_scripted), **tools)
    message = whole.json["choices"][0]["message"]
    assert {"tool_calls", "function_call"} & message.keys() == {expected}
    streamed = await post("chat", FakeServing(_scripted), stream=True, **tools)
    _, begin, *_ = [chunk["choices"][0]["delta"] for chunk in events(streamed)]
    assert begin.keys() == {expected}
    if expected == "tool_calls":
        kind = tools["tools"][0]["type"]
        assert message[expected][0]["type"] == begin[expected][0]["type"] == kind
