"""Which models go, so that another fits into the memory budget. Pure policy; sizes in bytes."""

from collections.abc import Iterable
from typing import NamedTuple


class EvictionCandidate(NamedTuple):
    """A model in memory, or on its way there."""

    name: str
    size_bytes: int
    users: int
    used_at: float


def choose_victims(
    budget_bytes: int, needed_bytes: int, occupants: Iterable[EvictionCandidate], *, also_used: bool = False
) -> tuple[str, ...] | None:
    """Just enough models to make room, idle before used, least recently used first; None where it cannot be made.

    Models with users stay, unless `also_used`.
    """
    occupants = tuple(occupants)
    excess = sum(occupant.size_bytes for occupant in occupants) + needed_bytes - budget_bytes
    going: list[str] = []
    for occupant in sorted(occupants, key=lambda occupant: (occupant.users > 0, occupant.used_at)):
        if excess <= 0:
            break
        if occupant.users and not also_used:
            continue
        going.append(occupant.name)
        excess -= occupant.size_bytes
    return tuple(going) if excess <= 0 else None


def format_size(size_bytes: int) -> str:
    """A size for people."""
    return f"{size_bytes / 1e9:.2f} GB" if size_bytes >= 10_000_000 else f"{size_bytes / 1e6:.2f} MB"
