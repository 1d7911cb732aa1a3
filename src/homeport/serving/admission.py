"""Who is let in: a bounded number of requests per model, the rest refused before any work. Pure policy."""

import time
from collections.abc import Callable

from homeport.domain.errors import Overloaded
from homeport.serving.queue_shares import QueueShares

_RETRY_MIN_S = 1.0
_RETRY_MAX_S = 60.0
_SMOOTHING = 0.2


class AdmissionTicket:
    """One request's place. `leave` gives it back, once, however often it is called."""

    def __init__(self, on_leave: Callable[[], None]) -> None:
        self._on_leave: Callable[[], None] | None = on_leave

    def release(self) -> None:
        """Give the place back."""
        if self._on_leave is not None:
            on_leave, self._on_leave = self._on_leave, None
            on_leave()


class Admission:
    """Lets in `slots + max_queue` requests of each model at a time, shared among its callers (`shares`).

    A refusal's `retry_after_s` is how long requests of that model lately took from here to their end: by then all
    that stand in line now are through.
    """

    def __init__(self, slots: int, max_queue: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = slots + max_queue
        self._clock = clock
        self._places: dict[str, QueueShares] = {}
        self._took_s: dict[str, float] = {}

    @property
    def total(self) -> int:
        """Requests inside now, of all models."""
        return sum(places.taken for places in self._places.values())

    def admitted_count(self, model: str) -> int:
        """Requests of one model inside now."""
        return self._places[model].taken if model in self._places else 0

    def admit(self, model: str, holder: str = "") -> AdmissionTicket:
        """Let one request in. Raises Overloaded where its model's line is full, or has no place for this holder."""
        places = self._places.get(model)
        if places is None:
            places = self._places[model] = QueueShares(self._limit, self._clock)
        if not places.enter(holder):
            wait_s = min(_RETRY_MAX_S, max(_RETRY_MIN_S, self._took_s.get(model, 0.0)))
            full = places.taken >= self._limit
            whose = "" if full else " The remaining places are reserved for other keys."
            raise Overloaded(
                f"{model} is busy: {places.taken} requests are already taken.{whose} Try again in {wait_s:.0f} s.",
                retry_after_s=wait_s,
            )
        since = self._clock()
        return AdmissionTicket(lambda: self._left(model, holder, self._clock() - since))

    def _left(self, model: str, holder: str, took_s: float) -> None:
        self._places[model].leave(holder)
        before_s = self._took_s.get(model, took_s)
        self._took_s[model] = before_s + _SMOOTHING * (took_s - before_s)
