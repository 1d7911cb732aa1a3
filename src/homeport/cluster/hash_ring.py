"""A ring of points of replicas, on which each hash names replicas in an order of its own (consistent hashing).

A replica that leaves is replaced by those behind it, and changes no order otherwise. Karger et al., "Consistent Hashing
and Random Trees" (1997). Knows nothing of load and requests.
"""

import bisect
from collections.abc import Collection

from homeport.cluster.hashing import hash_name, mixed

POINTS = 64
"""Points of each replica."""


class HashRing:
    """Replicas by name. Rings with the same replicas are equal, however they were made."""

    def __init__(self) -> None:
        self._points: list[tuple[int, str]] = []
        self._hashes: dict[str, int] = {}
        self._counts: dict[str, int] = {}
        self._is_sorted = True

    def __len__(self) -> int:
        return len(self._hashes)

    def __contains__(self, replica: object) -> bool:
        return replica in self._hashes

    @property
    def members(self) -> Collection[str]:
        """The replicas."""
        return self._hashes.keys()

    def add(self, replica: str, points: int = POINTS) -> None:
        """Add a replica with this many points, or more points to one with fewer: it is first for fewer keys."""
        name_hash = self._hashes.setdefault(replica, hash_name(replica))
        first, self._counts[replica] = self._counts.get(replica, 0), points
        self._points += [(mixed(name_hash, number), replica) for number in range(first, points)]
        self._is_sorted = False

    def remove(self, replica: str) -> None:
        """Remove a replica, if it is there."""
        if self._hashes.pop(replica, None) is not None:
            del self._counts[replica]
            self._points = [each for each in self._points if each[1] != replica]

    def first(self, key: int, count: int, excluded: Collection[str] = ()) -> list[str]:
        """Return up to `count` replicas in the order of the ring from `key` on, without those excluded."""
        if not self._is_sorted:  # once for all replicas that are added together
            self._points.sort()
            self._is_sorted = True
        found: dict[str, None] = {}
        points = self._points
        start = bisect.bisect(points, (key, ""))
        for offset in range(-len(points) + start, start):
            replica = points[offset][1]
            if replica not in found and replica not in excluded:
                found[replica] = None
                if len(found) >= count:
                    break
        return list(found)

    def ranked(self, key: int, replicas: Collection[str]) -> list[str]:
        """Return some of the replicas in an order that depends on the key and each replica, and on no other replica.

        This is rendezvous hashing: Thaler and Ravishankar, "A Name-Based Mapping Scheme for Rendezvous" (1996).
        """
        return sorted(replicas, key=lambda each: mixed(key, self._hashes[each]))
