"""Stats of several workers as one."""

from homeport.cluster.summed_stats import sum_stats
from homeport.domain.models import EngineStats


def test_stats_are_summed() -> None:
    """Counts add up; the longest stall counts, and the first text that is not empty."""
    first = EngineStats(running=1, cells=10, generated_tokens=100, stalled_s=0.5)
    second = EngineStats(running=2, cells=20, generated_tokens=1, stalled_s=2.0, prompts="int8", device_bytes=7)
    assert sum_stats([first]) is first
    assert sum_stats([first, second]) == EngineStats(
        running=3, cells=30, generated_tokens=101, stalled_s=2.0, prompts="int8", device_bytes=7
    )
