"""What chooses the replica of a request in one gateway: by its prompt where it has one. Knows nothing of links."""

from collections.abc import Collection, Mapping
from typing import Protocol

from homeport.cluster.hashing import hash_request
from homeport.cluster.routing import PrefixRouter, RoutingCosts
from homeport.domain.worker_messages import EngineRequest


class Router(Protocol):
    """The routing policy of one model in one gateway."""

    def choose(self, request: EngineRequest, loads: Mapping[str, int], excluded: Collection[str]) -> str:
        """Return one of the replicas of `loads` that is not `excluded`; there is at least one.

        `loads` has every replica that is known, with its requests; `excluded` are those that take no requests now, most
        of them for a short time.
        """
        ...


class FewestRequests:
    """Chooses a replica with the fewest requests; among equals the one that was chosen longest ago."""

    def __init__(self) -> None:
        self._turns: dict[str, int] = {}
        self._turn = 0

    def choose(self, loads: Mapping[str, int], excluded: Collection[str]) -> str:
        """Return a replica with the fewest requests."""
        candidates = (each for each in loads if each not in excluded)
        chosen = min(candidates, key=lambda each: (loads[each], self._turns.get(each, 0)))
        self._turn += 1
        self._turns = {each: turn for each, turn in self._turns.items() if each in loads}
        self._turns[chosen] = self._turn
        return chosen


class PrefixAffinity:
    """Sends requests with the same beginning to the same replicas, within bounds of load; others to the least loaded.

    `slots`: the requests that a replica computes at once.
    """

    def __init__(self, slots: int) -> None:
        self._prefixes = PrefixRouter(RoutingCosts(slots=slots))
        self._others = FewestRequests()
        self._known: set[str] = set()

    def choose(self, request: EngineRequest, loads: Mapping[str, int], excluded: Collection[str]) -> str:
        """Return the replica for a request."""
        self._follow(loads.keys())
        blocks = hash_request(request)
        chosen = self._prefixes.choose(blocks, loads, excluded) if blocks else None
        return chosen or self._others.choose(loads, excluded)

    def _follow(self, replicas: Collection[str]) -> None:
        """Tell the policy which replicas have come and gone."""
        if self._known != replicas:
            for gone in self._known - set(replicas):
                self._prefixes.remove(gone)
            for new in sorted(set(replicas) - self._known):
                self._prefixes.add(new)
            self._known = set(replicas)
