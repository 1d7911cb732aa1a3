"""The waiting list: fair turns among flows (projects), first come first served within one.

Start-time fair queueing: a request's turn begins after the latest turn that was served and after its flow's previous
request, and each further prompt of it waits one turn more. So a flood, or one request with a thousand prompts,
delays others by one turn, and nobody starves: whoever comes later gets a later turn. Knows no clock.
"""

from bisect import insort
from collections.abc import Hashable, Iterator

from homeport.engines.text.sequence import Candidate, Group


def _turn(candidate: Candidate) -> tuple[int, int]:
    return candidate.turn


class WaitingList:
    """Candidates that hold no sequence, oldest turn first."""

    def __init__(self) -> None:
        self._waiting: list[Candidate] = []
        self._served = 0
        self._latest: dict[Hashable, int] = {}
        self._arrivals = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def __iter__(self) -> Iterator[Candidate]:
        return iter(tuple(self._waiting))

    def join(self, group: Group) -> None:
        """Give a new request's candidates their turns and queue them."""
        self._latest = {flow: turn for flow, turn in self._latest.items() if turn > self._served}
        start = max(self._served, self._latest.get(group.flow, 0)) + 1
        self._latest[group.flow] = start
        for candidate in group.candidates:
            self._arrivals += 1
            candidate.turn = (start + candidate.prompt, self._arrivals)
            self.rejoin(candidate)

    def rejoin(self, candidate: Candidate) -> None:
        """Queue a candidate that lost its sequence, at its old turn."""
        candidate.waits = True
        insort(self._waiting, candidate, key=_turn)

    def serve(self, candidate: Candidate) -> None:
        """Take a candidate off because it starts."""
        candidate.waits = False
        self._waiting.remove(candidate)
        self._served = max(self._served, candidate.turn[0])

    def leave(self, group: Group) -> None:
        """Take a request's candidates off because it ends."""
        for candidate in group.candidates:
            candidate.waits = False
        self._waiting = [candidate for candidate in self._waiting if candidate.group is not group]
