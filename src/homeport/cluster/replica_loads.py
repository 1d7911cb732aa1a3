"""The ongoing requests of each replica, as far as one gateway knows. Knows nothing of links."""

from collections.abc import Iterator, Mapping


class ReplicaLoads(Mapping[str, int]):
    """This gateway's own requests, which it counts, and those of other gateways, as a replica last reported them."""

    def __init__(self) -> None:
        self._own: dict[str, int] = {}
        self._others: dict[str, int] = {}

    def __getitem__(self, replica: str) -> int:
        return self._own.get(replica, 0) + self._others.get(replica, 0)

    def __iter__(self) -> Iterator[str]:
        return iter(self._own.keys() | self._others.keys())

    def __len__(self) -> int:
        return len(self._own.keys() | self._others.keys())

    def sent(self, replica: str) -> None:
        """Count a request that this gateway sends."""
        self._own[replica] = self._own.get(replica, 0) + 1

    def finished(self, replica: str) -> None:
        """Count the end of one of these requests, however it ended."""
        remaining = self._own.get(replica, 0) - 1
        if remaining > 0:
            self._own[replica] = remaining
        else:
            self._own.pop(replica, None)

    def report(self, replica: str, ongoing: int) -> None:
        """Record how many requests a replica says it has, those of this gateway among them."""
        self._others[replica] = max(ongoing - self._own.get(replica, 0), 0)

    def remove(self, replica: str) -> None:
        """Forget what a replica reported. Requests to it are counted until they end."""
        self._others.pop(replica, None)
