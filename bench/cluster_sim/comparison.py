"""Which of two policies is better in a cell, and how often the router is. Pure."""

from collections import Counter
from collections.abc import Iterable
from typing import Literal

from bench.cluster_sim.cells import ROUTER, Result
from bench.cluster_sim.figures import Figures

Verdict = Literal["better on both", "better on one", "equal", "better on one, worse on the other", "lost"]
HIT_RATE = 0.002
"""A smaller difference is none."""
QUEUE_S = 0.12
"""A smaller difference is none: a step with 16 streams and a chunk of a prompt takes as long."""


def compare(ours: Figures, theirs: Figures) -> Verdict:
    """Compare hit rate and p99 queueing. `lost`: worse on one, and not better on the other."""
    hit = _sign(ours.hit_rate - theirs.hit_rate, HIT_RATE)
    queue = _sign(theirs.queue_p99_s - ours.queue_p99_s, QUEUE_S)
    match sorted((hit, queue)):
        case [1, 1]:
            return "better on both"
        case [0, 1]:
            return "better on one"
        case [0, 0]:
            return "equal"
        case [-1, 1]:
            return "better on one, worse on the other"
        case _:
            return "lost"


def count(results: Iterable[Result]) -> dict[str, Counter[Verdict]]:
    """Return, for each policy that the router is compared with, how often it got which verdict, by cell and seed."""
    cells: dict[tuple[str, int, float, int], dict[str, Figures]] = {}
    for each in results:
        cells.setdefault((each.event, each.replicas, each.load, each.seed), {})[each.policy] = each.figures
    counts: dict[str, Counter[Verdict]] = {}
    for policies in cells.values():
        for policy, figures in policies.items():
            if policy != ROUTER:
                counts.setdefault(policy, Counter())[compare(policies[ROUTER], figures)] += 1
    return counts


def _sign(difference: float, least: float) -> int:
    return (difference > least) - (difference < -least)
