"""A sliding sum over the last minute, in slots of a fraction of a second. Pure; units are the caller's."""

from collections.abc import Mapping

MINUTE_S = 60.0
_SLOTS = 240


class SlidingWindow:
    """The amount taken in the last minute, in `n_slots` slots of time; each expires a minute after its own end.

    `slots`: what is in it already, by the numbers of the slots, the oldest first.
    """

    def __init__(self, n_slots: int = _SLOTS, slots: Mapping[int, int] | None = None) -> None:
        self._length_s = MINUTE_S / n_slots
        self._slots = dict(slots or {})
        self._total = sum(self._slots.values())

    @property
    def slots(self) -> Mapping[int, int]:
        """The amounts by the numbers of the slots, the oldest first."""
        return self._slots

    def taken(self, now: float) -> int:
        """Return the amount taken in the minute before `now`."""
        while self._slots:
            oldest = next(iter(self._slots))
            if self._expires(oldest) > now:
                break
            self._total -= self._slots.pop(oldest)
        return self._total

    def take(self, amount: int, now: float) -> int:
        """Count `amount`; return the number of its slot, by which `change` corrects it."""
        self.taken(now)
        slot = int(now // self._length_s)
        if self._slots:
            slot = max(slot, next(reversed(self._slots)))  # the slots stay in order if a clock is set back
        self._slots.setdefault(slot, 0)
        self.change(slot, amount, now)
        return slot

    def change(self, slot: int, amount: int, now: float) -> None:
        """Add or subtract `amount` at an earlier moment; if that has expired, an addition counts now."""
        if self._expires(slot) > now and slot in self._slots:
            self._slots[slot] += amount
            self._total += amount
        elif amount > 0:
            self.take(amount, now)

    def wait_s(self, amount: int, limit: int, now: float) -> float:
        """Return the time until `amount` more fits under `limit`; for more than the limit, until all has expired."""
        excess = self.taken(now) + amount - limit
        wait_s = 0.0
        for slot, taken in self._slots.items():
            if excess <= 0:
                break
            excess -= taken
            wait_s = self._expires(slot) - now
        return wait_s

    def reset_s(self, now: float) -> float:
        """Return the time until all has expired, if nothing more is taken."""
        self.taken(now)
        last = next((slot for slot in reversed(self._slots) if self._slots[slot]), None)
        return 0.0 if last is None else self._expires(last) - now

    def _expires(self, slot: int) -> float:
        return (slot + 1) * self._length_s + MINUTE_S
