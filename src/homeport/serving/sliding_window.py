"""A sliding sum over the last minute, with a resolution of a quarter of a second. Pure; units are the caller's."""

from collections import deque

MINUTE_S = 60.0
_SLOTS = 240


class WindowSlot:
    """The amount taken in one quarter of a second."""

    __slots__ = ("ends", "taken")

    def __init__(self, ends: float) -> None:
        self.ends = ends
        self.taken = 0


class SlidingWindow:
    """The amount taken in the last minute, in quarters of a second; each expires a minute after its own end."""

    def __init__(self) -> None:
        self._slots: deque[WindowSlot] = deque()
        self._total = 0

    def taken(self, now: float) -> int:
        """Return the amount taken in the minute before `now`."""
        slots = self._slots
        while slots and slots[0].ends + MINUTE_S <= now:
            self._total -= slots.popleft().taken
        return self._total

    def take(self, amount: int, now: float) -> WindowSlot:
        """Count `amount`; corrections use `change`."""
        self.taken(now)
        if not self._slots or self._slots[-1].ends <= now:
            length = MINUTE_S / _SLOTS
            self._slots.append(WindowSlot((now // length + 1) * length))
        slot = self._slots[-1]
        self.change(slot, amount, now)
        return slot

    def change(self, slot: WindowSlot, amount: int, now: float) -> None:
        """Add or subtract `amount` at an earlier moment; if that has expired, an addition counts now."""
        if slot.ends + MINUTE_S > now:
            slot.taken += amount
            self._total += amount
        elif amount > 0:
            self.take(amount, now)

    def wait_s(self, amount: int, limit: int, now: float) -> float:
        """Return the time until `amount` more fits under `limit`; for more than the limit, until all has expired."""
        excess = self.taken(now) + amount - limit
        wait_s = 0.0
        for slot in self._slots:
            if excess <= 0:
                break
            excess -= slot.taken
            wait_s = slot.ends + MINUTE_S - now
        return wait_s

    def reset_s(self, now: float) -> float:
        """Return the time until all has expired, if nothing more is taken."""
        self.taken(now)
        last = next((slot for slot in reversed(self._slots) if slot.taken), None)
        return last.ends + MINUTE_S - now if last else 0.0
