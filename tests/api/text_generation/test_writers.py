"""Streams and whole answers report the same events, and spliced frames equal encoded ones."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeport.api.chat.render import ChatRenderer
from homeport.api.completions.render import CompletionRenderer
from homeport.api.request_context import RequestContext
from homeport.api.streaming import DONE, sse_event
from homeport.api.text_generation.writers import TextAnswerWriter, TextStreamWriter
from homeport.api.writer import AnswerMetadata, Writer
from homeport.domain.events import (
    Admitted,
    AlternativeToken,
    ChoiceFinished,
    Done,
    Event,
    ScoredToken,
    TextDelta,
    Usage,
)

ANSWER = AnswerMetadata(Admitted(3, (4,)), 1_700_000_000, 'a "model" \u2028 \\ 模型', "fp_1")
USAGE = Usage(3, 9, 1)
Renderer = CompletionRenderer | ChatRenderer
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
TOKENS = st.builds(
    lambda text, logprob, offset, top: ScoredToken(text, text.encode(), logprob, offset, tuple(top)),
    TEXTS,
    st.floats(-50, 0),
    st.integers(0, 99),
    st.lists(
        st.builds(lambda text, value: AlternativeToken(text, text.encode(), value), TEXTS, st.floats(-50, 0)),
        max_size=3,
    ),
)


def _completions() -> CompletionRenderer:
    return CompletionRenderer(ANSWER, n=3, top=3, echo=False, has_usage=True)


def _chat() -> ChatRenderer:
    return ChatRenderer(ANSWER, has_logprobs=True, has_usage=True)


def _stream(renderer: Renderer, *, is_padded: bool = False) -> TextStreamWriter:
    writer = TextStreamWriter(lambda _: renderer, RequestContext(), is_padded=is_padded)
    writer.on_admitted(ANSWER)
    writer.usage = USAGE
    return writer


def _written(writer: Writer, batches: list[list[Event]]) -> bytes:
    """Return all bytes of a response."""
    writer.usage = USAGE
    parts = [writer.write(batch) for batch in batches]
    return b"".join([*parts, asyncio.run(writer.finish())])


def _whole(renderer: Renderer, batches: list[list[Event]]) -> Any:
    writer = TextAnswerWriter(lambda _: renderer, RequestContext())
    writer.on_admitted(ANSWER)
    return json.loads(_written(writer, batches))


def _data(stream: bytes) -> list[dict[str, Any]]:
    frames = stream.split(b"\n\n")
    assert frames[-2:] == [b"data: [DONE]", b""]
    assert all(frame.startswith(b"data: ") and len(frame.decode().splitlines()) == 1 for frame in frames[:-1])
    return [json.loads(frame.removeprefix(b"data: ")) for frame in frames[:-2]]


@st.composite
def _batches(draw: st.DrawFn) -> list[list[Event]]:
    """The deltas of three choices in any order and any batches, then their ends."""
    scored = draw(st.booleans())
    lists = st.lists(TOKENS, max_size=2) if scored else st.just([])
    deltas = st.builds(lambda c, t, s: TextDelta(c, t, tuple(s)), st.integers(0, 2), TEXTS, lists)
    batches: list[list[Event]] = [list(batch) for batch in draw(st.lists(st.lists(deltas, max_size=4), max_size=6))]
    ends = draw(st.permutations([ChoiceFinished(0, "stop"), ChoiceFinished(1, "length"), ChoiceFinished(2, "stop")]))
    return [*batches, [*ends, Done(USAGE)]]


def _merged(chunks: Sequence[dict[str, Any]], path: tuple[str, ...], choice: int) -> list[Any]:
    """The values at `path` in the chunks of a choice, without nulls."""
    values: list[Any] = []
    for chunk in chunks:
        for value in chunk["choices"]:
            if value["index"] == choice:
                for key in path:
                    value = (value or {}).get(key)
                if value is not None:
                    values.append(value)
    return values


@settings(max_examples=60, deadline=None)
@given(_batches())
def test_a_streamed_completion_adds_up_to_the_whole_one(batches: list[list[Event]]) -> None:
    """Texts, logprobs, reasons and usage of the chunks equal those of the answer."""
    chunks, whole = _data(_written(_stream(_completions()), batches)), _whole(_completions(), batches)
    assert chunks[-1]["usage"] == whole["usage"]
    for index, choice in enumerate(whole["choices"]):
        assert choice["index"] == index
        assert "".join(_merged(chunks, ("text",), index)) == choice["text"]
        assert _merged(chunks, ("finish_reason",), index) == [choice["finish_reason"]]
        for name, values in choice["logprobs"].items():
            assert [each for part in _merged(chunks, ("logprobs", name), index) for each in part] == values


@settings(max_examples=60, deadline=None)
@given(_batches())
def test_a_streamed_chat_adds_up_to_the_whole_one(batches: list[list[Event]]) -> None:
    """Contents, logprobs, the role, the reason and the usage of the chunks equal those of the answer."""
    chunks, whole = _data(_written(_stream(_chat()), batches)), _whole(_chat(), batches)
    assert chunks[-1]["usage"] == whole["usage"]
    for index, choice in enumerate(whole["choices"]):
        assert "".join(_merged(chunks, ("delta", "content"), index)) == choice["message"]["content"]
        assert _merged(chunks, ("delta", "role"), index) == ["assistant"]
        assert _merged(chunks, ("finish_reason",), index) == [choice["finish_reason"]]
        content = [each for part in _merged(chunks, ("logprobs", "content"), index) for each in part]
        assert content == choice["logprobs"]["content"]


@pytest.mark.parametrize("renderer", [_completions(), _chat()], ids=["completions", "chat"])
@settings(max_examples=150, deadline=None)
@given(text=TEXTS, choice=st.integers(0, 200))
def test_spliced_frames_are_what_the_encoder_writes(renderer: Renderer, text: str, choice: int) -> None:
    """A spliced frame is byte for byte the encoded chunk."""
    writer = _stream(renderer)
    writer.write([TextDelta(choice, "first")])
    frame = writer.write([TextDelta(choice, text)])
    assert frame == sse_event(msgspec.json.encode(renderer.delta(choice, text, ())))


@pytest.mark.parametrize("renderer", [_completions(), _chat()], ids=["completions", "chat"])
@settings(max_examples=60, deadline=None)
@given(_batches())
def test_padding_adds_one_field_to_each_chunk_and_changes_nothing_else(
    renderer: Renderer, batches: list[list[Event]]
) -> None:
    """Every padded chunk is the plain one followed by `obfuscation` of 1 to 32 characters."""
    before = _data(_written(_stream(renderer), batches))
    after = _data(_written(_stream(renderer, is_padded=True), batches))
    assert all(1 <= len(chunk["obfuscation"]) <= 32 for chunk in after)
    assert [{name: chunk[name] for name in chunk if name != "obfuscation"} for chunk in after] == before


def test_padded_chunks_of_short_words_are_of_one_size_and_random() -> None:
    """The size of a chunk does not reveal the length of a word, and no padding repeats."""
    writer = _stream(_chat(), is_padded=True)
    writer.write([TextDelta(0, "first")])
    chunks = [writer.write([TextDelta(0, "x" * length)]) for length in range(30)]
    assert len({len(chunk) for chunk in chunks}) == 1
    assert len({chunk.partition(b"obfuscation")[2] for chunk in chunks}) == len(chunks)


@pytest.mark.parametrize(
    "text", ["a\u2028b\u2029c\u0085d", '"\\\n\r\t\x00\x1c', "👩‍👩‍👧 é 模型", "]}\n\ndata: [DONE]\n\n"]
)
def test_no_text_breaks_an_event(text: str) -> None:
    """Any text stays on one line and is decoded unchanged."""
    stream = _written(_stream(_chat()), [[TextDelta(0, text), ChoiceFinished(0, "stop"), Done(USAGE)]])
    assert "".join(_merged(_data(stream), ("delta", "content"), 0)) == text


def test_a_choice_without_text_still_begins_and_ends() -> None:
    """A choice that stops at once has its role and its reason."""
    chunks = _data(_written(_stream(_chat()), [[ChoiceFinished(1, "stop"), Done(USAGE)]]))
    assert _merged(chunks, ("delta", "role"), 1) == ["assistant"]
    assert _merged(chunks, ("finish_reason",), 1) == ["stop"]


@pytest.mark.parametrize("is_stream", [True, False], ids=["stream", "whole"])
def test_changes_of_the_conversation_are_a_header(is_stream: bool) -> None:
    """The header lists what was done to the messages; without changes there is none."""
    make = TextStreamWriter if is_stream else TextAnswerWriter
    changed = ANSWER._replace(admitted=Admitted(3, (4,), changes=("merged", "moved")))
    assert make(lambda _: _chat(), RequestContext()).on_admitted(changed) == {"x-homeport-messages": "merged, moved"}
    assert make(lambda _: _chat(), RequestContext()).on_admitted(ANSWER) == {}


def test_a_stream_without_usage_ends_with_done() -> None:
    """No chunk with usage precedes `[DONE]`."""
    writer = _stream(ChatRenderer(ANSWER, has_logprobs=False, has_usage=False))
    assert asyncio.run(writer.finish()) == DONE
