"""What is simulated: numbers of replicas, loads, seeds and events, and how each policy fares. Writes nothing.

The router was tuned with the seeds 1 to 6; those here are others.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from bench.cluster_sim.figures import Figures, summarize
from bench.cluster_sim.policies import BoundedHash, RoundRobin, ShortestQueue
from bench.cluster_sim.router import Router
from bench.cluster_sim.simulation import Policy, Scenario, Simulation

POLICIES: Mapping[str, Callable[[], Policy]] = {
    "round robin": RoundRobin,
    "shortest queue": ShortestQueue,
    "bounded hashing": BoundedHash,
    "router": Router,
}
ROUTER = "router"
SEEDS = (11, 12, 13)
LOADS = (0.4, 0.6, 0.9)
DURATIONS_S = {1: 1200.0, 4: 600.0, 16: 240.0, 64: 160.0, 256: 80.0, 1000: 60.0}
"""Simulated seconds by number of replicas: longer where there are few requests per second."""
LARGE = 100
"""From this many replicas on, one seed has enough requests."""
_AFTER_S = 60.0
"""How long after an event its figures are taken."""


class Cell(NamedTuple):
    """One scenario, of which the requests between two moments are counted."""

    event: str
    scenario: Scenario
    after_s: float
    until_s: float


class Result(NamedTuple):
    """The figures of one policy in one cell."""

    event: str
    replicas: int
    load: float
    seed: int
    policy: str
    figures: Figures


def steady(replicas: Iterable[int], loads: Sequence[float], seeds: Sequence[int]) -> Iterator[Cell]:
    """Return cells in which nothing happens. A third of the time, half where it is short, fills the caches."""
    for count in replicas:
        duration_s = DURATIONS_S[count]
        after_s = max(duration_s / 3, min(30.0, duration_s / 2))
        for load in loads:
            for seed in seeds if count < LARGE else seeds[:1]:
                yield Cell("", Scenario(count, load, duration_s, seed), after_s, duration_s)


def events(seeds: Sequence[int]) -> Iterator[Cell]:
    """Return cells in which replicas fail or are added after two minutes. The minute after that is counted."""
    at_s = 120.0
    for name, count, failing, added in (
        ("1 of 4 fails", 4, 1, 0),
        ("2 of 16 fail", 16, 2, 0),
        ("8 of 64 fail", 64, 8, 0),
        ("2 join 4", 4, 0, 2),
        ("4 join 16", 16, 0, 4),
        ("16 join 64", 64, 0, 16),
    ):
        for seed in seeds:
            scenario = Scenario(count, 0.6, at_s + _AFTER_S, seed, at_s, failing, added)
            yield Cell(name, scenario, at_s, at_s + _AFTER_S)


def run(cell: Cell, policy: str) -> Result:
    """Simulate one cell with one policy."""
    scenario = cell.scenario
    requests = Simulation(scenario, POLICIES[policy]).run()
    figures = summarize(requests, cell.after_s, cell.until_s)
    return Result(cell.event, scenario.replicas, scenario.load, scenario.seed, policy, figures)


def mean(figures: Sequence[Figures]) -> Figures:
    """Return the mean of each figure, and the sum of the requests."""
    sums = [math.fsum(values) for values in zip(*figures, strict=True)]
    return Figures(int(sums[0]), *(each / len(figures) for each in sums[1:]))
