"""The stats of several workers of one model as those of one. Pure."""

from collections.abc import Sequence
from typing import Any

from homeport.domain.models import EngineStats


def sum_stats(stats: Sequence[EngineStats]) -> EngineStats:
    """Return the sums of all counts and gauges; of `stalled_s` the largest, of `prompts` the first that is known."""
    if len(stats) == 1:
        return stats[0]
    values: dict[str, Any] = {}
    for name in EngineStats.__struct_fields__:
        found = [getattr(each, name) for each in stats]
        if name == "stalled_s":
            values[name] = max(found, default=0.0)
        elif name == "prompts":
            values[name] = next((text for text in found if text), "")
        else:
            values[name] = sum(found)
    return EngineStats(**values)
