"""Which models to evict so that another fits into the memory budget. Pure policy; sizes in bytes."""

from collections.abc import Iterable
from typing import NamedTuple


class EvictionCandidate(NamedTuple):
    """A model that is in memory or being loaded."""

    name: str
    size_bytes: int
    n_leases: int
    used_at: float


def choose_victims(
    budget_bytes: int, needed_bytes: int, candidates: Iterable[EvictionCandidate], *, also_used: bool = False
) -> tuple[str, ...] | None:
    """Return the fewest models to evict, idle before used, least recently used first; None if that is not enough.

    Models with leases are not evicted, unless `also_used`.
    """
    candidates = tuple(candidates)
    excess = sum(candidate.size_bytes for candidate in candidates) + needed_bytes - budget_bytes
    victims: list[str] = []
    for candidate in sorted(candidates, key=lambda candidate: (candidate.n_leases > 0, candidate.used_at)):
        if excess <= 0:
            break
        if candidate.n_leases and not also_used:
            continue
        victims.append(candidate.name)
        excess -= candidate.size_bytes
    return tuple(victims) if excess <= 0 else None


def format_size(size_bytes: int) -> str:
    """Format a size for people."""
    return f"{size_bytes / 1e9:.2f} GB" if size_bytes >= 10_000_000 else f"{size_bytes / 1e6:.2f} MB"
