"""What a run of a load amounts to, and the statistics of it. Pure: knows nothing of servers, sockets or clocks."""

import math
import statistics
from collections.abc import Iterable, Sequence
from itertools import pairwise

import msgspec


class Outcome(msgspec.Struct):
    """One run: times in seconds. `errors` counts requests that did not end with all their tokens.

    `gaps_s`: between one token of a choice and its next; tokens that came together have 0 between them. `deltas`: the
    pieces in which the tokens came. CPU: of the load generator, and of the server's main process (None: not measured).
    `others`: the share of the machine that neither of them used, but other programs did.
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
        """Output tokens of the whole run over its wall time."""
        return self.output_tokens / self.wall_s

    @property
    def cpu_per_token_s(self) -> float:
        """CPU time of the server's main process per token that it passed on; nan where it was not measured."""
        known = self.server_cpu_s is not None and self.output_tokens > 0
        return (self.server_cpu_s or 0.0) / self.output_tokens if known else math.nan


class Reply(msgspec.Struct):
    """What came back for one request: when it was sent, when text of each choice came, and how each choice ended."""

    sent_s: float
    stamps: dict[int, list[float]] = {}
    ends: dict[int, str] = {}
    usage_tokens: int = 0
    failure: str | None = None

    def tokens(self, n: int, wanted: int) -> int:
        """Tokens generated, 0 where the request failed or a choice ended otherwise than at its `wanted` tokens.

        Some servers count one choice alone in the usage of n choices: there a choice that ended by its length is the
        proof of its tokens.
        """
        is_whole = self.failure is None and len(self.ends) == n and set(self.ends.values()) == {"length"}
        return n * wanted if is_whole and self.usage_tokens >= wanted else 0

    @property
    def first_s(self) -> float | None:
        """Seconds from sending to the first text; None where none came."""
        times = [stamps[0] for stamps in self.stamps.values() if stamps]
        return min(times) - self.sent_s if times else None

    def gaps(self, wanted: int) -> list[float]:
        """Seconds between the tokens of each choice. What came in one piece of text has no time between it."""
        found: list[float] = []
        for stamps in self.stamps.values():
            found += [after - before for before, after in pairwise(stamps)]
            found += [0.0] * max(0, wanted - len(stamps))
        return found

    def gaps_within(self, begin_s: float, end_s: float) -> list[float]:
        """Seconds between pieces of text, of those gaps that ended between two moments."""
        return [
            after - before
            for stamps in self.stamps.values()
            for before, after in pairwise(stamps)
            if begin_s < after <= end_s
        ]


def outcome(replies: Sequence[Reply], *, n: int, wanted: int, wall_s: float, client_cpu_s: float) -> Outcome:
    """Sum up the replies to a load of `n` choices with `wanted` tokens each."""
    whole = [reply for reply in replies if reply.tokens(n, wanted)]
    return Outcome(
        wall_s=wall_s,
        output_tokens=sum(reply.tokens(n, wanted) for reply in whole),
        errors=len(replies) - len(whole),
        ttft_s=[reply.first_s for reply in whole if reply.first_s is not None],
        gaps_s=[gap for reply in whole for gap in reply.gaps(wanted)],
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
    """The median of what is a number; nan where nothing is."""
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
