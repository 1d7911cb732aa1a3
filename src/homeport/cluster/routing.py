"""The routing policy: which replica of a model gets a request. Pure: no clock, no network, no randomness.

A request costs a replica its uncached prompt, and waits behind what the replica has. The policy estimates both and takes
the cheapest of a few candidates: the replicas to which it sent prompts with the same beginning, the two that consistent
hashing names, and the two least loaded. Gateways share no state: they agree by hashing, and each learns from the
requests that it sends. Knows nothing of Ray.

Consistent hashing is rendezvous hashing: Thaler and Ravishankar, "A Name-Based Mapping Scheme for Rendezvous" (1996).
"""

import heapq
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from homeport.cluster.hashing import mixed


class RoutedPrompt(NamedTuple):
    """What is known of a prompt. `blocks`: chained hashes of its whole blocks, of project and adapter, too."""

    blocks: Sequence[int]


class RoutingCosts(NamedTuple):
    """Costs in blocks of prompt. `ongoing`: of each request that a replica has; `waiting`: of each beyond its slots."""

    ongoing: float = 4.0
    waiting: float = 24.0
    slots: int = 16


HASHED_BLOCKS = 4
"""Blocks of a prompt that name its home. Prompts that share less do not gain from sharing a replica."""
MAX_BLOCKS = 1 << 17
"""Blocks that a gateway remembers."""
_REPLICAS_PER_BLOCK = 4


class PrefixRouter:
    """The policy of one gateway, and what it learned."""

    def __init__(self, costs: RoutingCosts = RoutingCosts()) -> None:  # noqa: B008 - immutable
        self._costs = costs
        self._blocks: OrderedDict[int, list[int]] = OrderedDict()
        """For each block the replicas that computed it, the latest last."""

    def choose(self, blocks: Sequence[int], loads: Mapping[int, int]) -> int:
        """Return one of the replicas of `loads`, which has the ongoing requests of each. Remember the choice."""
        cached = self._cached(blocks, loads)
        chosen = min(self._candidates(blocks, loads, cached), key=lambda each: self._cost(each, blocks, loads, cached))
        self._learn(blocks, chosen)
        return chosen

    def _candidates(self, blocks: Sequence[int], loads: Mapping[int, int], cached: Mapping[int, int]) -> list[int]:
        seed = blocks[min(HASHED_BLOCKS, len(blocks)) - 1] if blocks else 0
        homes = heapq.nsmallest(2, loads, key=lambda each: mixed(seed, each))
        idle = heapq.nsmallest(2, loads, key=lambda each: (loads[each], mixed(blocks[-1] if blocks else 0, each)))
        return [*cached, *homes, *idle]

    def _cost(self, replica: int, blocks: Sequence[int], loads: Mapping[int, int], cached: Mapping[int, int]) -> float:
        load, costs = loads[replica], self._costs
        return len(blocks) - cached.get(replica, 0) + costs.ongoing * load + costs.waiting * max(load - costs.slots, 0)

    def _cached(self, blocks: Sequence[int], loads: Mapping[int, int]) -> dict[int, int]:
        """Return how many leading blocks each replica probably has; only those that have any."""
        found: dict[int, int] = {}
        for count, block in enumerate(blocks, 1):
            replicas = self._blocks.get(block)
            if not replicas:
                break
            for replica in replicas:
                if replica in loads and found.get(replica, 0) == count - 1:
                    found[replica] = count
        return found

    def _learn(self, blocks: Sequence[int], replica: int) -> None:
        for block in reversed(blocks):
            replicas = self._blocks.setdefault(block, [])
            if replica in replicas:
                replicas.remove(replica)
            replicas.append(replica)
            del replicas[:-_REPLICAS_PER_BLOCK]
            self._blocks.move_to_end(block)
        while len(self._blocks) > MAX_BLOCKS:
            self._blocks.popitem(last=False)
