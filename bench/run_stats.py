"""The outcome of a run, and statistics over runs. Pure: knows nothing of servers, sockets or clocks."""

import math
import statistics
from collections.abc import Iterable, Sequence
from itertools import pairwise

import msgspec


class Outcome(msgspec.Struct):
    """One run; times in seconds. `errors`: the number of requests that did not return all their tokens.

    `gaps_s`: times between consecutive tokens of a choice, 0 for tokens of one piece. `deltas`: the number of pieces of
    text. CPU times: of the load generator, and of the server's main process (None: not measured). `others`: the share
    of the machine's CPU time that other programs used.
    """

    wall_s: float
    output_tokens: int
    errors: int
    ttft_s: list[float]
    gaps_s: list[float]
    deltas: int = 0
    client_cpu_s: float = 0.0
    server_cpu_s: float | None = None
    others: float = 0.0

    @property
    def tokens_per_s(self) -> float:
        """Output tokens divided by wall time."""
        return self.output_tokens / self.wall_s

    @property
    def cpu_per_token_s(self) -> float:
        """CPU time of the server's main process per output token; nan if not measured."""
        known = self.server_cpu_s is not None and self.output_tokens > 0
        return (self.server_cpu_s or 0.0) / self.output_tokens if known else math.nan


class Reply(msgspec.Struct):
    """The answer to one request: when it was sent, when text of each choice arrived, and how each choice ended."""

    sent_s: float
    stamps: dict[int, list[float]] = {}
    ends: dict[int, str] = {}
    usage_tokens: int = 0
    failure: str | None = None

    def tokens(self, n: int, length: int) -> int:
        """The number of generated tokens; 0 if the request failed or a choice did not end at its `length` tokens.

        Some servers report the usage of one choice for n choices, so a choice that ended by length counts as complete.
        """
        is_whole = self.failure is None and len(self.ends) == n and set(self.ends.values()) == {"length"}
        return n * length if is_whole and self.usage_tokens >= length else 0

    @property
    def first_s(self) -> float | None:
        """Seconds from sending to the first text; None without text."""
        times = [stamps[0] for stamps in self.stamps.values() if stamps]
        return min(times) - self.sent_s if times else None

    def gaps(self, length: int) -> list[float]:
        """Seconds between the tokens of each choice; 0 between tokens of one piece of text."""
        found: list[float] = []
        for stamps in self.stamps.values():
            found += [after - before for before, after in pairwise(stamps)]
            found += [0.0] * max(0, length - len(stamps))
        return found

    def gaps_within(self, begin_s: float, end_s: float) -> list[float]:
        """Seconds between pieces of text, for the gaps that ended between two times."""
        return [
            after - before
            for stamps in self.stamps.values()
            for before, after in pairwise(stamps)
            if begin_s < after <= end_s
        ]


def outcome(replies: Sequence[Reply], *, n: int, length: int, wall_s: float, client_cpu_s: float) -> Outcome:
    """Sum up the replies to a load of `n` choices with `length` tokens each."""
    whole = [reply for reply in replies if reply.tokens(n, length)]
    return Outcome(
        wall_s=wall_s,
        output_tokens=sum(reply.tokens(n, length) for reply in whole),
        errors=len(replies) - len(whole),
        ttft_s=[reply.first_s for reply in whole if reply.first_s is not None],
        gaps_s=[gap for reply in whole for gap in reply.gaps(length)],
        deltas=sum(len(stamps) for reply in whole for stamps in reply.stamps.values()),
        client_cpu_s=client_cpu_s,
    )


def quantile(of: Sequence[float], q: float) -> float:
    """The q-th quantile, interpolated; nan without samples."""
    if not of:
        return math.nan
    ranked = sorted(of)
    place = q * (len(ranked) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ranked) - 1)
    return ranked[low] + (ranked[high] - ranked[low]) * (place - low)


def median(of: Iterable[float]) -> float:
    """The median of the values that are not nan; nan if there are none."""
    known = [value for value in of if not math.isnan(value)]
    return statistics.median(known) if known else math.nan


def speed(runs: Sequence[Outcome]) -> float:
    """Median of output tokens per second over runs."""
    return median(run.tokens_per_s for run in runs)


def ttft(runs: Sequence[Outcome], q: float = 0.5) -> float:
    """Median over runs of a quantile of the time to the first token, in seconds."""
    return median(quantile(run.ttft_s, q) for run in runs)


def gap(runs: Sequence[Outcome], q: float) -> float:
    """Median over runs of a quantile of the time between tokens, in seconds."""
    return median(quantile(run.gaps_s, q) for run in runs)
