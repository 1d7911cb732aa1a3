"""The cost of a request, counted from its events."""

from homeport.api.accounting import UsageCounter
from homeport.api.metrics import Metrics
from homeport.domain.events import (
    Admitted,
    AudioChunk,
    ChoiceFinished,
    Done,
    EmbeddingVectors,
    MusicFinished,
    ReasoningDelta,
    RecordingInfo,
    TextDelta,
    ToolCallDelta,
    Usage,
)


def _counter(metrics: Metrics | None = None, choices: int = 1) -> UsageCounter:
    counter = UsageCounter((metrics or Metrics()).start_request("tiny", "chat"), choices)
    counter.on_admitted(Admitted(5))
    return counter


def test_deltas_count_until_the_worker_reports_the_cost() -> None:
    """A cancelled request costs its prompt and the tokens of its deltas; a complete one what `Done` reports."""
    counter = _counter()
    counter.count([TextDelta(0, "a", tokens=2), TextDelta(0, "b")])
    counter.count([AudioChunk(b"")])
    assert counter.usage == Usage(5, 3)
    counter.count([ChoiceFinished(0, "length", is_cut=True), Done(Usage(5, 9, 1))])
    assert (counter.usage, counter.is_cut) == (Usage(5, 9, 1), True)


def test_reasoning_and_calls_are_counted() -> None:
    """The metrics count calls and the tokens of reasoning, also those of a request that is cancelled."""
    metrics = Metrics()
    counter = _counter(metrics)
    counter.count([ReasoningDelta(0, "Hm.", tokens=3), ToolCallDelta(0, 0, "call_1", "f", "", tokens=2)])
    counter.count([ToolCallDelta(0, 0, "", "", "{}"), ToolCallDelta(0, 1, "call_2", "f", "{}")])
    assert counter.usage == Usage(5, 7, reasoning_tokens=3)
    counter.close()
    page = metrics.render().decode()
    assert 'homeport:tool_calls_total{model_name="tiny"} 2.0' in page
    assert 'homeport:reasoning_tokens_total{model_name="tiny"} 3.0' in page


def test_the_longest_choice_is_reported() -> None:
    """The metrics report the generated tokens of the longest of several choices."""
    metrics = Metrics()
    counter = _counter(metrics, choices=2)
    counter.count([TextDelta(0, "a"), TextDelta(1, "b", tokens=3), Done(Usage(5, 4))])
    counter.close()
    assert 'vllm:request_max_num_generation_tokens_sum{model_name="tiny"} 3.0' in metrics.render().decode()


def test_an_answer_without_choices_that_is_complete_counts_once() -> None:
    """Embeddings and moderations count one finished answer each, however many events they have."""
    metrics = Metrics()
    counter = _counter(metrics)
    counter.count([EmbeddingVectors(0, 1, 1, b"1234"), EmbeddingVectors(1, 1, 1, b"1234")])
    counter.count([Done(Usage(5))])
    assert 'finished_reason="stop",model_name="tiny"} 1.0' in metrics.render().decode()


def test_a_recording_costs_its_length() -> None:
    """`seconds` is the length of the recording."""
    counter = _counter()
    counter.count([RecordingInfo("en", 2.5)])
    assert counter.seconds == 2.5


def test_the_seconds_of_all_pieces_of_music_are_counted() -> None:
    """`seconds` is the length of the music that is complete."""
    counter = UsageCounter(Metrics().start_request("m", "music"))
    counter.count([MusicFinished(index, 1.5, 7, "jig", "D major", 110.0, "6/8") for index in range(2)])
    assert counter.seconds == 3.0
