"""Streams and whole answers are the same events, and splicing changes no byte."""

import json
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeport.api import json_codec
from homeport.api.chat.render import ChatRenderer
from homeport.api.completions.render import CompletionRenderer
from homeport.api.streaming import sse_event
from homeport.api.text_generation.choices import AnswerMetadata, ChoicesCollector
from homeport.api.text_generation.stream import TextStreamWriter
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

HEAD = AnswerMetadata("id-1", 1_700_000_000, 'a "model" \u2028 \\ 模型', "fp_1")
ADMITTED = Admitted(3, (4,))
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
    return CompletionRenderer(HEAD, ADMITTED, n=3, top=3, echo=False, has_usage=True)


def _chat() -> ChatRenderer:
    return ChatRenderer(HEAD, ADMITTED, has_logprobs=True, has_usage=True)


def _data(stream: bytes) -> list[dict[str, Any]]:
    frames = stream.split(b"\n\n")
    assert frames[-2:] == [b"data: [DONE]", b""]
    assert all(frame.startswith(b"data: ") and len(frame.decode().splitlines()) == 1 for frame in frames[:-1])
    return [json.loads(frame.removeprefix(b"data: ")) for frame in frames[:-2]]


@st.composite
def _batches(draw: st.DrawFn) -> list[list[Event]]:
    """Three choices' deltas in any order and any batches, then their ends."""
    scored = draw(st.booleans())
    lists = st.lists(TOKENS, max_size=2) if scored else st.just([])
    deltas = st.builds(lambda c, t, s: TextDelta(c, t, tuple(s)), st.integers(0, 2), TEXTS, lists)
    batches: list[list[Event]] = [list(batch) for batch in draw(st.lists(st.lists(deltas, max_size=4), max_size=6))]
    ends = draw(st.permutations([ChoiceFinished(0, "stop"), ChoiceFinished(1, "length"), ChoiceFinished(2, "stop")]))
    return [*batches, [*ends, Done(Usage(3, 9, 1))]]


def _merged(chunks: Sequence[dict[str, Any]], path: tuple[str, ...], choice: int) -> list[Any]:
    """What stands under `path` in each chunk of a choice, where it is there and not null."""
    found: list[Any] = []
    for chunk in chunks:
        for value in chunk["choices"]:
            if value["index"] == choice:
                for key in path:
                    value = (value or {}).get(key)
                if value is not None:
                    found.append(value)
    return found


@settings(max_examples=60, deadline=None)
@given(_batches())
def test_a_streamed_completion_adds_up_to_the_whole_one(batches: list[list[Event]]) -> None:
    """Texts, the four lists of logprobs, reasons and usage of the chunks are those of the answer."""
    frames, collected = TextStreamWriter(_completions()), ChoicesCollector(3)
    chunks = _data(b"".join(frames.write(batch) for batch in batches))
    for batch in batches:
        collected.add(batch)
    whole = json.loads(json_codec.encode(_completions().answer(collected, Usage(3, 9, 1))))
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
    """Contents, logprobs, one role, one reason and the usage of the chunks are those of the answer."""
    frames, collected = TextStreamWriter(_chat()), ChoicesCollector(3)
    chunks = _data(b"".join(frames.write(batch) for batch in batches))
    for batch in batches:
        collected.add(batch)
    whole = json.loads(json_codec.encode(_chat().answer(collected, Usage(3, 9, 1))))
    assert chunks[-1]["usage"] == whole["usage"]
    for index, choice in enumerate(whole["choices"]):
        assert "".join(_merged(chunks, ("delta", "content"), index)) == choice["message"]["content"]
        assert _merged(chunks, ("delta", "role"), index) == ["assistant"]
        assert _merged(chunks, ("finish_reason",), index) == [choice["finish_reason"]]
        content = [each for part in _merged(chunks, ("logprobs", "content"), index) for each in part]
        assert content == choice["logprobs"]["content"]


@pytest.mark.parametrize("shape", [_completions(), _chat()], ids=["completions", "chat"])
@settings(max_examples=150, deadline=None)
@given(text=TEXTS, choice=st.integers(0, 200))
def test_spliced_frames_are_what_the_encoder_writes(
    shape: CompletionRenderer | ChatRenderer, text: str, choice: int
) -> None:
    """A spliced frame is byte for byte the chunk encoded anew."""
    frames = TextStreamWriter(shape)
    frames.write([TextDelta(choice, "first")])
    assert frames.write([TextDelta(choice, text)]) == sse_event(msgspec.json.encode(shape.delta(choice, text, ())))


@pytest.mark.parametrize("shape", [_completions(), _chat()], ids=["completions", "chat"])
@settings(max_examples=60, deadline=None)
@given(_batches())
def test_padding_adds_one_field_to_each_chunk_and_changes_nothing_else(
    shape: CompletionRenderer | ChatRenderer, batches: list[list[Event]]
) -> None:
    """Every chunk, whatever it says, is the plain one with `obfuscation` of 1 to 32 characters behind it."""
    plain, padded = TextStreamWriter(shape), TextStreamWriter(shape, is_padded=True)
    before = _data(b"".join(plain.write(batch) for batch in batches))
    after = _data(b"".join(padded.write(batch) for batch in batches))
    assert all(1 <= len(chunk["obfuscation"]) <= 32 for chunk in after)
    assert [{name: chunk[name] for name in chunk if name != "obfuscation"} for chunk in after] == before


def test_padded_chunks_of_short_words_are_of_one_size_and_random() -> None:
    """A word's length cannot be told from its chunk's size, and no padding comes twice."""
    frames = TextStreamWriter(_chat(), is_padded=True)
    frames.write([TextDelta(0, "first")])
    chunks = [frames.write([TextDelta(0, "x" * length)]) for length in range(30)]
    assert len({len(chunk) for chunk in chunks}) == 1
    assert len({chunk.partition(b"obfuscation")[2] for chunk in chunks}) == len(chunks)


@pytest.mark.parametrize(
    "text", ["a\u2028b\u2029c\u0085d", '"\\\n\r\t\x00\x1c', "👩‍👩‍👧 é 模型", "]}\n\ndata: [DONE]\n\n"]
)
def test_no_text_breaks_an_event(text: str) -> None:
    """Whatever a model writes stays inside one line, and comes back as it was."""
    stream = TextStreamWriter(_chat()).write([TextDelta(0, text), ChoiceFinished(0, "stop"), Done(Usage())])
    assert "".join(_merged(_data(stream), ("delta", "content"), 0)) == text


def test_a_choice_without_text_still_begins_and_ends() -> None:
    """A choice that stops at once has its role and its reason."""
    chunks = _data(TextStreamWriter(_chat()).write([ChoiceFinished(1, "stop"), Done(Usage())]))
    assert _merged(chunks, ("delta", "role"), 1) == ["assistant"]
    assert _merged(chunks, ("finish_reason",), 1) == ["stop"]
