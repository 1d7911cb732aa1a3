"""The simulation of a cluster: its replicas, caches, traffic and events."""

import random
from itertools import count

import pytest

from bench.cluster_sim.cells import POLICIES, events, mean, run, steady
from bench.cluster_sim.costs import BLOCK, SLOTS, StepCosts
from bench.cluster_sim.figures import Figures, quantile, summarize
from bench.cluster_sim.policies import BoundedHash, RoundRobin
from bench.cluster_sim.prefix_cache import PrefixCache
from bench.cluster_sim.replica import Replica
from bench.cluster_sim.simulation import GatewayView, Scenario, Simulation
from bench.cluster_sim.traffic import KINDS, Request, Session

COSTS = StepCosts()


def _request(blocks: tuple[int, ...], output: int = 10) -> Request:
    session = Session(KINDS[0], 1, blocks, 1, random.Random(1), count(1000))
    return Request(session, 1, blocks, output)


def test_a_cache_evicts_the_ends_of_unused_prompts() -> None:
    """The least recently used blocks are evicted, the last ones of a prompt first, and a gap ends a prefix."""
    cache = PrefixCache(5)
    cache.use([1, 2, 3])
    cache.use([4, 5, 6])
    assert len(cache) == 5
    assert (cache.leading([1, 2, 3]), cache.leading([4, 5, 6, 7]), cache.leading([9, 1])) == (2, 3, 0)
    cache.clear()
    assert cache.leading([4]) == 0


def test_a_replica_takes_the_time_of_its_steps() -> None:
    """A request costs its uncached prompt and a step for each token; a second one finds the prompt cached."""
    replica = Replica(COSTS)
    for number in range(2):
        began = replica.now_s
        request = _request((1, 2, 3, 4))
        replica.submit(request, began)
        assert replica.advance(1000.0) == [request]
        assert request.cached_blocks == (3 if number else 0)
        prompt_s = COSTS.step_s(0, (4 - request.cached_blocks) * BLOCK)
        assert request.first_token_s - began == pytest.approx(prompt_s)
        assert replica.now_s - request.first_token_s == pytest.approx(10 * COSTS.step_s(1, 0))


def test_requests_beyond_the_slots_wait() -> None:
    """A replica with full slots queues a request until one has ended, and a failure loses all of them."""
    replica = Replica(COSTS)
    requests = [_request((number,)) for number in range(SLOTS + 1)]
    for each in requests:
        replica.submit(each, 0.0)
    assert (len(replica.queue), replica.ongoing) == (1, SLOTS + 1)
    assert len(replica.advance(1000.0)) == SLOTS + 1
    assert requests[-1].started_s > 0 == requests[0].started_s
    replica.submit(requests[0], 1000.0)
    assert replica.fail() == [requests[0]]
    assert (replica.ongoing, replica.is_alive) == (0, False)


@pytest.mark.parametrize("policy", POLICIES)
def test_every_request_is_answered_once(policy: str) -> None:
    """With any policy, the same sessions are answered, also while replicas fail and are added."""
    scenario = Scenario(4, 0.5, 40.0, 3, 20.0, 1, 2)
    requests = Simulation(scenario, POLICIES[policy]).run()
    assert len({id(each) for each in requests}) == len(requests) > 40
    assert all(each.arrived_s < 40.0 for each in requests)
    assert all(each.arrived_s <= each.started_s <= each.first_token_s for each in requests)
    again = Simulation(scenario, POLICIES[policy]).run()
    assert summarize(again) == summarize(requests)


def test_all_policies_are_equal_with_one_replica() -> None:
    """With one replica, no policy has a choice."""
    figures = {run(cell, policy).figures for cell in [*steady([1], [0.4], [1])] for policy in POLICIES}
    assert len(figures) == 1


def test_a_failed_replica_is_not_chosen_for_long() -> None:
    """After the events of the published cells, requests that were lost are answered by others."""
    for cell in events([1]):
        if cell.scenario.replicas == 4:
            requests = Simulation(cell.scenario, BoundedHash).run()
            assert any(each.attempts > 1 for each in requests) == bool(cell.scenario.failing)
            assert any(cell.after_s <= each.arrived_s < cell.until_s for each in requests)


def test_gateways_know_what_they_sent() -> None:
    """A gateway's load of a replica is what was reported and what it sent since, and never negative."""
    view = GatewayView(2)
    view.reported[1], view.since[1] = 3, 2
    assert view.load(1) == 5
    view.since[1] = -4
    assert view.load(1) == 0
    view.add()
    assert view.alive == [0, 1, 2]
    chosen = [RoundRobin().choose(_request((1,)), view) for _ in range(2)]
    assert chosen[0] == chosen[1]


def test_figures_are_of_the_requests_in_the_interval() -> None:
    """Figures count requests that arrive in the interval: hit rates by token, and quantiles of times."""
    requests = [_request((1, 2)) for _ in range(3)]
    for number, each in enumerate(requests):
        each.arrived_s, each.started_s, each.first_token_s = number, number + 1.0, number + 3.0
        each.cached_blocks = number
    assert summarize(requests, 1, 2) == Figures(1, 0.5, 1, 1, 3, 3)
    assert summarize([]) == Figures(0, 0, 0, 0, 0, 0)
    assert quantile([1, 2, 3, 4], 0.5) == 3
    assert mean([Figures(1, 0.5, 1, 1, 1, 1), Figures(2, 1, 2, 3, 4, 5)]) == Figures(3, 0.75, 1.5, 2, 2.5, 3)
