"""The policies that the router is compared with: round robin, the shortest queue, and bounded consistent hashing."""

import bisect
import hashlib
import itertools
import math
import random

from bench.cluster_sim.simulation import View
from bench.cluster_sim.traffic import Request

HASHED_BLOCKS = 4
POINTS = 64
"""Points of each replica on the ring."""
BOUND = 1.25
"""How many times the mean load a replica may have before consistent hashing goes to the next one."""


class RoundRobin:
    """One replica after the other."""

    def __init__(self) -> None:
        self._turns = itertools.count(random.Random(1).randrange(1 << 16))

    def choose(self, _request: Request, view: View) -> int:
        """Return the next replica."""
        return view.alive[next(self._turns) % len(view.alive)]


class ShortestQueue:
    """The replica with the fewest requests, as far as the gateway knows; one of them at random if several have."""

    def __init__(self) -> None:
        self._random = random.Random(2)

    def choose(self, _request: Request, view: View) -> int:
        """Return the least loaded replica."""
        least = min(map(view.load, view.alive))
        return self._random.choice([each for each in view.alive if view.load(each) == least])


class BoundedHash:
    """Consistent hashing of the first blocks of a prompt, and the next replica on the ring while one has too much load.

    Mirrokni, Thorup and Zadimoghaddam, "Consistent Hashing with Bounded Loads" (2016).
    """

    def __init__(self, blocks: int = HASHED_BLOCKS) -> None:
        self._blocks = blocks
        self._ring: list[tuple[int, int]] = []
        self._members: tuple[int, ...] = ()

    def choose(self, request: Request, view: View) -> int:
        """Return the first replica after the prompt's point whose load is within the bound."""
        members = tuple(view.alive)
        if members != self._members:
            self._members = members
            self._ring = sorted((point(replica, number), replica) for replica in members for number in range(POINTS))
        total = sum(map(view.load, members)) + 1
        bound = math.ceil(BOUND * total / len(members))
        start = bisect.bisect(self._ring, (point(request.key, *request.blocks[: self._blocks]), -1))
        for offset in range(len(self._ring)):
            _, replica = self._ring[(start + offset) % len(self._ring)]
            if view.load(replica) < bound:
                return replica
        raise AssertionError("one replica is always below the bound")


def point(*parts: int) -> int:
    """Return where these numbers are on the ring."""
    return int.from_bytes(hashlib.blake2b(repr(parts).encode(), digest_size=8).digest(), "big")
