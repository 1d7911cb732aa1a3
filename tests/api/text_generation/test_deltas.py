"""Which pieces of a choice are written."""

from typing import get_args

from homeport.api.chat.render import ChatRenderer
from homeport.api.request_context import RequestContext
from homeport.api.text_generation.choices import ChoicesCollector
from homeport.api.text_generation.writers import TextStreamWriter
from homeport.api.writer import AnswerMetadata
from homeport.domain.events import (
    Admitted,
    AudioDelta,
    Delta,
    Event,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
)

ANSWER = AnswerMetadata(Admitted(3, (4,)), 1_700_000_000, "model", "fp_1")
DELTAS: tuple[Delta, ...] = (
    TextDelta(0, "a"),
    ReasoningDelta(0, "a"),
    ToolCallDelta(0, 0, "call_1", "clock", "{}"),
    AudioDelta(0, b"a"),
)


def _is_collected(delta: Delta) -> bool:
    collector = ChoicesCollector()
    collector.add([delta])  # type: ignore[list-item]  # those that are no events yet
    return bool(collector.choices)


def _is_streamed(delta: Delta) -> bool:
    writer = TextStreamWriter(lambda _: ChatRenderer(ANSWER, has_logprobs=False, has_usage=False), RequestContext())
    writer.on_admitted(ANSWER)
    return bool(writer.write([delta]))  # type: ignore[list-item]


def test_every_delta_that_an_engine_may_send_is_written() -> None:
    """The deltas among the events are those that whole answers and streams contain; others cannot be sent yet."""
    assert {type(delta) for delta in DELTAS} == set(get_args(Delta))
    events = set(get_args(Event)) & set(get_args(Delta))
    assert {type(delta) for delta in DELTAS if _is_collected(delta)} == events
    assert {type(delta) for delta in DELTAS if _is_streamed(delta)} == events
