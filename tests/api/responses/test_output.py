"""The output of a response: which items what a model writes becomes, and what a listener is told of them."""

import itertools
import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.api.responses.open_items import OpenItem
from homeport.api.responses.output import ResponseOutput
from homeport.api.responses.output_items import OutputItem
from homeport.api.responses.plan import CallTarget, ResponsePlan
from homeport.api.responses.response_object import ResponseObject
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

TARGETS = {
    "f": CallTarget("function", "f"),
    "c": CallTarget("custom", "c"),
    "shell": CallTarget("shell", "shell"),
}
PLAN = ResponsePlan(ResponseObject(id=f"resp_{'a' * 32}", created_at=1, model="m", text={}), TARGETS)
SCORED = ScoredToken("a", b"a", -0.5, 0)
STOP = ChoiceFinished(0, "stop")
PARTS: list[list[Event]] = [
    [TextDelta(0, "ab"), TextDelta(0, "c", (SCORED,))],
    [TextDelta(0, "")],
    [ReasoningDelta(0, "de")],
    [ReasoningDelta(0, "")],
    [ToolCallDelta(0, 0, "c0", "f", ""), ToolCallDelta(0, 0, "", "", '{"a": 1}')],
    [ToolCallDelta(0, 0, "c1", "c", "input")],
    [ToolCallDelta(0, 0, "c2", "shell", '{"commands": ["ls"]}')],
]


class Recorder:
    """An `OutputListener` that keeps what it is told. `told`: what happened to which index, in order."""

    def __init__(self) -> None:
        self.told: list[tuple[str, int]] = []
        self.texts: dict[int, str] = {}
        self.scored: dict[int, int] = {}
        self.rendered: list[OutputItem] = []

    def on_open(self, item: OpenItem) -> None:
        """An item begins."""
        self.told.append(("open", item.index))
        assert item.text == ""

    def on_text(self, item: OpenItem, text: str, scored: tuple[ScoredToken, ...]) -> None:
        """An item has more text."""
        assert text or scored
        self.told.append(("text", item.index))
        self.texts[item.index] = self.texts.get(item.index, "") + text
        self.scored[item.index] = self.scored.get(item.index, 0) + len(scored)

    def on_close(self, item: OpenItem, rendered: OutputItem) -> None:
        """An item ends."""
        self.told.append(("close", item.index))
        assert self.texts.get(item.index, "") == item.text
        self.rendered.append(rendered)


def items_of(output: ResponseOutput) -> list[Any]:
    """Return the items, decoded."""
    items = [json.loads(item.body) for item in output.items]
    assert [item["id"] for item in items] == [item.id for item in output.items]
    return items


def collected(*events: Event) -> list[Any]:
    """Return the items of these events, without a listener."""
    output = ResponseOutput(PLAN)
    output.add(events)
    return items_of(output)


def test_an_item_ends_where_another_kind_begins() -> None:
    """Text and reasoning that follow each other are items of their own, told as they begin, grow and end."""
    recorder = Recorder()
    output = ResponseOutput(PLAN, recorder)
    output.add([ReasoningDelta(0, "a"), ReasoningDelta(0, "b"), TextDelta(0, "c"), ReasoningDelta(0, "d"), STOP])
    assert [item["content"][0]["text"] for item in items_of(output)] == ["ab", "c", "d"]
    assert [item["type"] for item in items_of(output)] == ["reasoning", "message", "reasoning"]
    assert recorder.told == [
        *(("open", 0), ("text", 0), ("text", 0), ("close", 0)),
        *(("open", 1), ("text", 1), ("close", 1)),
        *(("open", 2), ("text", 2), ("close", 2)),
    ]


def test_an_id_begins_a_call() -> None:
    """A delta with an id begins a call, also of the same tool, and those without one continue it."""
    begin, more = ToolCallDelta(0, 0, "c0", "f", "{"), ToolCallDelta(0, 0, "", "", "}")
    calls = collected(begin, more, ToolCallDelta(0, 1, "c1", "f", ""), begin, more, more, STOP)
    assert [(call["call_id"], call["arguments"]) for call in calls] == [("c0", "{}"), ("c1", ""), ("c0", "{}}")]


def test_an_id_says_the_kind() -> None:
    """Each item has an id of its own, whose prefix is that of its kind."""
    parts = [PARTS[at] for at in (0, 2, 4, 5, 6, 0)]
    items = collected(*itertools.chain(*parts), STOP)
    assert [item["id"].partition("_")[0] for item in items] == ["msg", "rs", "fc", "ctc", "sh", "msg"]
    assert len({item["id"] for item in items}) == len(items)


def test_the_scores_of_a_message_are_kept() -> None:
    """Scores without text are told and kept; a delta without both is not told, but begins a message."""
    recorder = Recorder()
    output = ResponseOutput(PLAN, recorder)
    output.add([TextDelta(0, ""), TextDelta(0, "", (SCORED,)), TextDelta(0, "a", (SCORED, SCORED)), STOP])
    [message] = items_of(output)
    assert [scored["token"] for scored in message["content"][0]["logprobs"]] == ["a"] * 3
    assert recorder.told == [("open", 0), ("text", 0), ("text", 0), ("close", 0)]
    assert recorder.scored == {0: 3}


@pytest.mark.parametrize("last", [TextDelta(0, "b"), ReasoningDelta(0, "b"), ToolCallDelta(0, 0, "c", "c", "b")])
def test_the_length_cuts_the_last_item(last: Event) -> None:
    """An answer that ends by length has one incomplete item, the last; otherwise all are complete."""
    for reason, status in (("length", "incomplete"), ("stop", "completed"), ("tool_calls", "completed")):
        output = ResponseOutput(PLAN)
        output.add([ToolCallDelta(0, 0, "c0", "f", "{}"), last, ChoiceFinished(0, reason)])
        assert [item["status"] for item in items_of(output)] == ["completed", status]
        assert output.reason == reason


def test_an_answer_without_text_is_an_empty_message() -> None:
    """A model that ends at once has written an empty message, unless the length left it no token."""
    [message] = collected(STOP)
    assert (message["type"], message["content"][0]["text"]) == ("message", "")
    assert collected(ChoiceFinished(0, "length")) == []
    assert [item["type"] for item in collected(ReasoningDelta(0, "a"), STOP)] == ["reasoning"]


def test_what_is_not_ended_is_no_item() -> None:
    """An item that is being written is not among the items, and a model that has not finished has no reason."""
    output = ResponseOutput(PLAN)
    output.add([ReasoningDelta(0, "a"), TextDelta(0, "b")])
    assert [item["type"] for item in items_of(output)] == ["reasoning"]
    assert output.reason is None


def test_other_events_are_ignored() -> None:
    """Events that are no part of a text neither begin nor end an item."""
    recorder = Recorder()
    output = ResponseOutput(PLAN, recorder)
    output.add([Admitted(1), TextDelta(0, "a"), Admitted(1), TextDelta(0, "b"), Done(Usage())])
    assert recorder.told == [("open", 0), ("text", 0), ("text", 0)]
    assert (output.items, output.reason) == ([], None)


@given(parts=st.lists(st.sampled_from(PARTS), max_size=8), cuts=st.lists(st.integers(0, 12), max_size=4))
def test_batches_and_listeners_change_nothing(parts: Sequence[Sequence[Event]], cuts: list[int]) -> None:
    """However events are batched, and whether anyone listens, the items are the same, and those that are told."""
    events = [*itertools.chain(*parts), STOP]
    recorder = Recorder()
    output = ResponseOutput(PLAN, recorder)
    for start, end in itertools.pairwise([0, *sorted(cuts), len(events)]):
        output.add(events[start : max(start, end)])
    assert items_of(output) == collected(*events)
    assert len(recorder.rendered) == len(output.items)
    for index in range(len(output.items)):
        told = [what for what, place in recorder.told if place == index]
        assert told == ["open", *["text"] * (len(told) - 2), "close"]
