"""Admission: a bounded number of requests per model; others are refused before any work. Pure policy."""

import time
from collections.abc import Callable

from homeport.domain.errors import Overloaded
from homeport.serving.queue_shares import QueueShares

_RETRY_MIN_S = 1.0
_RETRY_MAX_S = 60.0
_SMOOTHING = 0.2


class AdmissionTicket:
    """One request's place in a model's queue. `release` returns it, once, however often it is called."""

    def __init__(self, on_release: Callable[[], None]) -> None:
        self._on_release: Callable[[], None] | None = on_release

    def release(self) -> None:
        """Return the place."""
        if self._on_release is not None:
            on_release, self._on_release = self._on_release, None
            on_release()


class Admission:
    """Admits `slots + max_queue` requests of each model at a time (`slots` for each of its workers, if it has several);
    `queue_shares` divides them among callers.

    A refusal's `retry_after_s` is the recent mean duration of that model's requests, from admission to end: by then
    most requests that are admitted now have ended.
    """

    def __init__(self, slots: int, max_queue: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._slots = slots
        self._max_queue = max_queue
        self._clock = clock
        self._places: dict[str, QueueShares] = {}
        self._durations_s: dict[str, float] = {}

    @property
    def total(self) -> int:
        """The number of admitted requests, of all models."""
        return sum(places.taken for places in self._places.values())

    def admitted_count(self, model: str) -> int:
        """Return the number of admitted requests of one model."""
        return self._places[model].taken if model in self._places else 0

    def admit(self, model: str, holder: str = "", workers: int = 1) -> AdmissionTicket:
        """Admit one request. Raises Overloaded if its model's queue is full, or has no place for this holder."""
        limit = self._slots * workers + self._max_queue
        places = self._places.get(model)
        if places is None:
            places = self._places[model] = QueueShares(limit, self._clock)
        elif places.places != limit:
            places.resize(limit)
        if not places.acquire(holder):
            wait_s = min(_RETRY_MAX_S, max(_RETRY_MIN_S, self._durations_s.get(model, 0.0)))
            is_full = places.taken >= limit
            reserved = "" if is_full else " The remaining places are reserved for other keys."
            raise Overloaded(
                f"{model} is busy: {places.taken} requests are already taken.{reserved} Try again in {wait_s:.0f} s.",
                retry_after_s=wait_s,
            )
        admitted_at = self._clock()
        return AdmissionTicket(lambda: self._on_release(model, holder, self._clock() - admitted_at))

    def _on_release(self, model: str, holder: str, duration_s: float) -> None:
        self._places[model].release(holder)
        smoothed_s = self._durations_s.get(model, duration_s)
        self._durations_s[model] = smoothed_s + _SMOOTHING * (duration_s - smoothed_s)
