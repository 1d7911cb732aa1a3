"""What a failure costs callers: their requests meanwhile, and the time until all replicas take requests again."""

from collections.abc import Awaitable, Callable, Iterable, Sequence

import msgspec

from bench.cluster.traffic import Answer, Traffic
from homeport.cluster.cluster_serving import ClusterServing

HEADER = (
    "| failure | answered | failed before the first byte | ended in the stream | sent again | longest TTFT, s "
    "| full capacity after, s | |",
    "| --- | --- | --- | --- | --- | --- | --- | --- |",
)


class Failure(msgspec.Struct, frozen=True):
    """One line of the table. `capacity_s` None: nothing was to come back."""

    name: str
    answers: Sequence[Answer]
    retries: int
    capacity_s: float | None
    note: str = ""

    @property
    def failed(self) -> int:
        """The requests that failed although other replicas took requests."""
        return sum(answer.has_failed for answer in self.answers)

    @property
    def cells(self) -> Iterable[str]:
        """The line's cells."""
        answered = sum(answer.error is None for answer in self.answers)
        cut = sum(answer.was_cut for answer in self.answers)
        longest = max((answer.first_s for answer in self.answers if answer.first_s is not None), default=0.0)
        capacity = "–" if self.capacity_s is None else f"{self.capacity_s:.1f}"
        yield from (self.name, str(answered), str(self.failed), str(cut), str(self.retries), f"{longest:.1f}", capacity)
        yield self.note


def table(failures: Iterable[Failure]) -> list[str]:
    """Return the table's lines."""
    return [*HEADER, *(f"| {' | '.join(failure.cells)} |" for failure in failures)]


async def observe(
    name: str, serving: ClusterServing, traffic: Traffic, happen: Callable[[], Awaitable[float | None]], note: str = ""
) -> Failure:
    """Let a failure happen under traffic that runs; stop the traffic. `happen` returns the time to full capacity."""
    retries = sum(serving.retries().values())
    capacity_s = await happen()
    answers = await traffic.stop()
    return Failure(name, answers, sum(serving.retries().values()) - retries, capacity_s, note)
