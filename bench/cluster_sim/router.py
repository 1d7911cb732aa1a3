"""The router of `homeport.cluster` as a policy of the simulation."""

from collections.abc import Iterator, Mapping

from bench.cluster_sim.costs import BLOCK, SLOTS
from bench.cluster_sim.simulation import View
from bench.cluster_sim.traffic import Request
from homeport.cluster.hashing import mixed
from homeport.cluster.routing import PrefixRouter, RoutingCosts


class Router:
    """One gateway's router."""

    def __init__(self, costs: RoutingCosts | None = None) -> None:
        self._router = PrefixRouter((costs or RoutingCosts())._replace(block_tokens=BLOCK, slots=SLOTS))
        self._alive: list[int] = []

    def choose(self, request: Request, view: View) -> int:
        """Return the replica that the router chooses."""
        if self._alive != view.alive:
            alive = list(view.alive)
            for replica in set(self._alive) - set(alive):
                self._router.remove(str(replica))
            for replica in set(alive) - set(self._alive):
                self._router.add(str(replica))
            self._alive = alive
        blocks, last = [], request.key
        for block in request.blocks:
            last = mixed(last, block)
            blocks.append(last)
        chosen = self._router.choose(blocks, _Loads(view))
        if chosen is None:
            raise AssertionError("at least one replica is alive")
        return int(chosen)


class _Loads(Mapping[str, int]):
    """A gateway's view of the replicas' requests, by name."""

    def __init__(self, view: View) -> None:
        self._view = view

    def __getitem__(self, replica: str) -> int:
        return self._view.load(int(replica))

    def __iter__(self) -> Iterator[str]:
        return map(str, self._view.alive)

    def __len__(self) -> int:
        return len(self._view.alive)
