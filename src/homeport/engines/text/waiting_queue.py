"""Whose prompt is computed next: fair shares among flows (projects), within one the shortest first, with ageing.

A flow's clock is the prompt tokens computed for it. The flow that is furthest behind goes first, and one that comes
back from a pause is not behind (start-time fair queueing, Goyal et al. 1996). Within a flow a prompt is due at the
clock of its arrival plus its own length, and goes in that order: short ones overtake long ones, but only those that
come before as much was computed as it is long. Each further prompt of a request is due one prompt later. Knows no time.
"""

import heapq
from bisect import insort
from collections.abc import Hashable, Iterable, Iterator

from homeport.engines.text.scheduled_request import Candidate, ScheduledRequest


def _sort_key(candidate: Candidate) -> tuple[int, int]:
    return candidate.due - candidate.computed, candidate.turn


class WaitingQueue:
    """Candidates that hold no sequence, and the clocks by which their prompts and those under way are ordered."""

    def __init__(self) -> None:
        self._flows: dict[Hashable, list[Candidate]] = {}
        self._clocks: dict[Hashable, int] = {}
        self._now = 0
        self._arrivals = 0

    def __len__(self) -> int:
        return sum(len(waiting) for waiting in self._flows.values())

    def __iter__(self) -> Iterator[Candidate]:
        return (candidate for waiting in self._flows.values() for candidate in waiting)

    def add(self, group: ScheduledRequest) -> None:
        """Queue a new request's candidates."""
        if group.fair_share_key not in self._flows:
            self._clocks = {flow: clock for flow, clock in self._clocks.items() if clock > self._now}
            self._clocks.setdefault(group.fair_share_key, self._now)
        due, prompt = self._clocks.setdefault(group.fair_share_key, self._now), -1
        for candidate in group.candidates:
            if candidate.prompt != prompt:
                due, prompt = due + candidate.prompt_length, candidate.prompt
            self._arrivals += 1
            candidate.turn, candidate.due = self._arrivals, due
            self.requeue(candidate)

    def requeue(self, candidate: Candidate) -> None:
        """Queue a candidate that lost its sequence, at its old place."""
        candidate.is_waiting = True
        insort(self._flows.setdefault(candidate.group.fair_share_key, []), candidate, key=_sort_key)

    def remove(self, candidate: Candidate) -> None:
        """Take a candidate off because it starts."""
        candidate.is_waiting = False
        waiting = self._flows[candidate.group.fair_share_key]
        waiting.remove(candidate)
        if not waiting:
            del self._flows[candidate.group.fair_share_key]

    def remove_request(self, group: ScheduledRequest) -> None:
        """Take a request's candidates off because it ends."""
        for candidate in group.candidates:
            if candidate.is_waiting:
                self.remove(candidate)

    def charge(self, flow: Hashable, n_tokens: int) -> None:
        """So many prompt tokens are computed for a flow."""
        clock = self._clocks.get(flow, self._now)
        self._now = max(self._now, clock)
        self._clocks[flow] = clock + n_tokens

    def in_order(self, under_way: Iterable[Candidate]) -> Iterator[Candidate]:
        """Those waiting now and those whose prompt is under way, in the order in which their prompts are computed."""
        lists: dict[Hashable, list[Candidate]] = {flow: [] for flow in self._flows}
        for started in under_way:
            lists.setdefault(started.group.fair_share_key, []).append(started)
        heap = []
        for place, (flow, ours) in enumerate(lists.items()):
            queue = heapq.merge(sorted(ours, key=_sort_key), tuple(self._flows.get(flow, ())), key=_sort_key)
            heap.append((self._clocks.get(flow, self._now), place, queue))
        heapq.heapify(heap)
        while heap:
            clock, place, queue = heap[0]
            candidate = next(queue, None)
            if candidate is None:
                heapq.heappop(heap)
                continue
            heapq.heapreplace(heap, (clock + candidate.pending, place, queue))
            yield candidate
