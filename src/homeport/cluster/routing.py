"""The routing policy: which replica of a model gets a request. Pure: no clock, no network, no randomness.

A replica answers sooner if it has the beginning of the prompt in its prefix cache, and if it has few requests. Gateways
share no state, and a conversation's turns may come through any of them, so they agree by hashing. A prefix belongs to
as many replicas as its share of the requests needs. What follows the prefix (usually the first message of a
conversation) names one of these: the primary, where each turn finds what the turns before it computed. A request goes
to its primary unless another replica is expected to be cheaper: others of the same prefix, the one to which this
gateway sent the conversation before, and two that depend on the whole prompt, which spread what is left.

Knows nothing of Ray, links and models.
"""

import math
from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from homeport.cluster.hash_ring import POINTS, HashRing
from homeport.cluster.prefix_counts import PrefixCounts


class RoutingCosts(NamedTuple):
    """What the policy weighs, in tokens of prompt that take as long to compute. Tuned in `bench.cluster_sim`.

    `block_tokens`: a block of the prompt; `ongoing_tokens`: each request that a replica has; `waiting_tokens`: each
    beyond its `slots`, in addition. `spread`: the replicas of a prefix, as a multiple of its share of all requests.
    """

    block_tokens: int = 256
    ongoing_tokens: int = 512
    waiting_tokens: int = 512
    slots: int = 16
    spread: float = 2.0


ALTERNATIVES = 8
"""Replicas of a prefix that are considered for a request."""
CHOICES = 2
"""Replicas that are considered whatever the prefix."""
MAX_CONVERSATIONS = 1 << 14
"""Prompts of which a gateway remembers where it sent them."""
_FIRST_POINTS = 4
_JOINING_REQUESTS = 4
"""Requests for each replica after which one that joins gets one more point."""
_WINDOW = 64
"""Requests for each replica after which popularity may have changed."""


class PrefixRouter:
    """The policy of one gateway for one model's replicas, and what it has learned."""

    def __init__(self, costs: RoutingCosts | None = None) -> None:
        self._costs = costs or RoutingCosts()
        self._ring = HashRing()
        self._prefixes = PrefixCounts()
        self._requests = 0
        self._joining: dict[str, int] = {}
        """The points on the ring of replicas that do not have all of them yet."""
        self._sent: OrderedDict[int, str] = OrderedDict()
        """For the last block of each prompt the replica to which it was sent."""

    def add(self, replica: str) -> None:
        """Consider a replica from now on.

        One that joins others takes over their prefixes gradually: it would compute the prompts of all at once.
        """
        if replica not in self._ring:
            self._joining[replica] = _FIRST_POINTS if self._requests else POINTS
            self._ring.add(replica, self._joining[replica])

    def remove(self, replica: str) -> None:
        """No longer consider a replica."""
        self._joining.pop(replica, None)
        self._ring.remove(replica)

    def choose(self, blocks: Sequence[int], loads: Mapping[str, int], excluded: Collection[str] = ()) -> str | None:
        """Return the replica for a prompt with these blocks (`hashing.hash_request`); None if there is none.

        `loads`: the ongoing requests of each replica. `excluded`: those that drain or have failed this request.
        """
        if not blocks:
            usable = (each for each in self._ring.members if each not in excluded)
            return min(usable, key=lambda each: loads[each], default=None)
        cached = self._expected(blocks, excluded)
        if not cached:
            return None
        chosen = min(cached, key=lambda each: self._cost(len(blocks) - cached[each], loads[each]))
        self._learn(blocks, chosen)
        return chosen

    def _cost(self, blocks: int, load: int) -> float:
        costs = self._costs
        waiting = max(load - costs.slots, 0)
        return blocks * costs.block_tokens + load * costs.ongoing_tokens + waiting * costs.waiting_tokens

    def _expected(self, blocks: Sequence[int], excluded: Collection[str]) -> dict[str, int]:
        """Return the candidates, the primary first, with the leading blocks that each is expected to have cached."""
        members, popular = self._members(blocks, excluded)
        cached = dict.fromkeys(members[:ALTERNATIVES], popular)
        if members:  # other gateways send the conversation's turns to its primary, too
            cached[members[0]] = max(len(blocks) - 1, popular)
        for replica in self._ring.first(blocks[-1], CHOICES, excluded):
            cached.setdefault(replica, 0)
        for count in range(len(blocks), 0, -1):
            replica = self._sent.get(blocks[count - 1], "")
            if replica in self._ring and replica not in excluded:
                cached[replica] = max(count, cached.get(replica, 0))
                break
        return cached

    def _members(self, blocks: Sequence[int], excluded: Collection[str]) -> tuple[list[str], int]:
        """Return the replicas of the prompt's prefix, in this prompt's order, and the prefix's number of blocks.

        The prefix ends before the first block that is not asked for often enough for two replicas. Each block with a
        smaller share than the block before it chooses among that one's replicas.
        """
        size = self._size(blocks[0])
        members = self._ring.first(blocks[0], max(size, ALTERNATIVES), excluded)
        if size < 2:
            return members, 0
        for at, block in enumerate(blocks):
            wanted = self._size(block)
            if wanted < size:
                members = self._ring.ranked(block, members[: max(size, ALTERNATIVES)])
                size = wanted
            if size < 2:
                return members, at
        return self._ring.ranked(blocks[-1], members[: max(size, ALTERNATIVES)]), len(blocks)

    def _size(self, block: int) -> int:
        """Return how many replicas the prompts with this block need."""
        return max(math.ceil(self._prefixes.share(block) * self._costs.spread * len(self._ring)), 1)

    def _learn(self, blocks: Sequence[int], replica: str) -> None:
        self._requests += 1
        if self._joining and self._requests % (_JOINING_REQUESTS * len(self._ring)) == 0:
            self._joining = {each: points + 1 for each, points in self._joining.items() if points < POINTS}
            for each, points in self._joining.items():
                self._ring.add(each, points)
        self._prefixes.add(blocks, _WINDOW * len(self._ring))
        self._sent[blocks[-1]] = replica
        self._sent.move_to_end(blocks[-1])
        if len(self._sent) > MAX_CONVERSATIONS:
            self._sent.popitem(last=False)
