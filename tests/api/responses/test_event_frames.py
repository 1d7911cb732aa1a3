"""Frames of a response's stream: spliced deltas, numbers, and what cannot break a frame."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.api.responses.event_frames import EventFrames
from homeport.api.responses.events import ErrorReported
from homeport.api.responses.open_items import OpenAction, OpenCall, OpenItem, OpenMessage, OpenReasoning
from homeport.api.responses.plan import CallTarget
from tests.openai_schemas import check_event

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
ITEMS: dict[str, OpenItem] = {
    "response.output_text.delta": OpenMessage("msg_1", 4),
    "response.reasoning_text.delta": OpenReasoning("rs_1", 4, has_summary=False, seal=None),
    "response.reasoning_summary_text.delta": OpenReasoning("rs_1", 4, has_summary=True, seal=None),
    "response.function_call_arguments.delta": OpenCall("fc_1", 4, "c1", CallTarget("function", "f")),
    "response.custom_tool_call_input.delta": OpenCall("ctc_1", 4, "c1", CallTarget("custom", "c")),
}


def events_of(stream: bytes) -> list[dict[str, Any]]:
    """Return the events of a stream, each of which is one frame of two lines as every reader splits lines."""
    events = []
    for frame in stream.decode().removesuffix("\n\n").split("\n\n"):
        head, data = frame.splitlines()
        event = json.loads(data.removeprefix("data: "))
        assert head == f"event: {event['type']}"
        check_event(event)
        events.append(event)
    return events


@pytest.mark.parametrize("kind", ITEMS)
@given(texts=st.lists(TEXTS, min_size=1, max_size=4))
def test_spliced_deltas_hold_their_text(kind: str, texts: list[str]) -> None:
    """Every delta of every kind of item has its own text and number, whatever characters the text has."""
    pieces: list[bytes] = []
    frames = EventFrames(pieces)
    frames.on_open(ITEMS[kind])
    begun = len(events_of(b"".join(pieces)))
    for text in texts:
        frames.on_text(ITEMS[kind], text, ())
    events = events_of(b"".join(pieces))[begun:]
    assert [(event["type"], event["output_index"]) for event in events] == [(kind, 4)] * len(texts)
    assert [event["delta"] for event in events] == texts
    assert [event["sequence_number"] for event in events] == list(range(begun, begun + len(texts)))


def test_a_template_serves_one_item() -> None:
    """The deltas of an item name that item, also after another item of the same kind."""
    pieces: list[bytes] = []
    frames = EventFrames(pieces)
    for place in range(2):
        item = OpenMessage(f"msg_{place}", place)
        frames.on_open(item)
        frames.on_text(item, "text", ())
    deltas = [event for event in events_of(b"".join(pieces)) if event["type"].endswith(".delta")]
    assert [(event["item_id"], event["output_index"]) for event in deltas] == [("msg_0", 0), ("msg_1", 1)]


def test_a_line_end_in_a_message_ends_no_line() -> None:
    """What Unicode regards as a line end is escaped in events that are encoded whole, too."""
    pieces: list[bytes] = []
    EventFrames(pieces).add(ErrorReported(type="error", code=None, message="line\u2028end", param=None))
    [event] = events_of(b"".join(pieces))
    assert event["message"] == "line\u2028end"


def test_events_are_numbered_without_end() -> None:
    """The numbers count on in a stream of more events than numbers are kept for."""
    pieces: list[bytes] = []
    frames, item = EventFrames(pieces), OpenMessage("msg_1", 0)
    frames.on_open(item)
    for _ in range(5000):
        frames.on_text(item, "a", ())
    frames.add(ErrorReported(type="error", code=None, message="a", param=None))
    events = [json.loads(frame.split(b"data: ")[1]) for frame in b"".join(pieces).split(b"\n\n")[:-1]]
    assert [event["sequence_number"] for event in events] == list(range(5003))


def test_an_action_is_shown_when_it_is_known() -> None:
    """A call that the caller executes has no events before its end: then it is added and done."""
    pieces: list[bytes] = []
    frames = EventFrames(pieces)
    action = OpenAction("sh_1", 0, "c1", CallTarget("shell", "shell"))
    frames.on_open(action)
    action.pieces.append('{"commands": ["ls"]}')
    frames.on_text(action, action.text, ())
    assert pieces == []
    frames.on_close(action, action.render("completed"))
    added, done = events_of(b"".join(pieces))
    assert (added["type"], done["type"]) == ("response.output_item.added", "response.output_item.done")
    assert added["item"] == done["item"]
