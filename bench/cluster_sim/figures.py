"""The figures of a run. Pure."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from bench.cluster_sim.costs import BLOCK
from bench.cluster_sim.traffic import Request


class Figures(NamedTuple):
    """`hit_rate`: the share of prompt tokens that were cached; `queue_*_s`: from arrival to a slot; `ttft_*_s`."""

    requests: int
    hit_rate: float
    queue_p50_s: float
    queue_p99_s: float
    ttft_p50_s: float
    ttft_p99_s: float


def summarize(requests: Sequence[Request], after_s: float = 0.0, until_s: float = math.inf) -> Figures:
    """Return the figures of the requests that arrived from `after_s`, when the caches are warm, until `until_s`."""
    counted = [each for each in requests if after_s <= each.arrived_s < until_s]
    queue = sorted(each.started_s - each.arrived_s for each in counted)
    ttft = sorted(each.first_token_s - each.arrived_s for each in counted)
    hit = sum(each.cached_blocks for each in counted) * BLOCK / max(sum(each.prompt_tokens for each in counted), 1)
    return Figures(
        len(counted), hit, quantile(queue, 0.5), quantile(queue, 0.99), quantile(ttft, 0.5), quantile(ttft, 0.99)
    )


def quantile(ordered: Sequence[float], share: float) -> float:
    """Return the value below which this share of the sorted values is; 0 without any."""
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else 0.0
