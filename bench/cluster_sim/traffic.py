"""Traffic of agents, chats and batches, as sessions whose next request follows the answer to the last one.

A prompt is a sequence of block ids: equal ids at its beginning are an equal prefix. The popularity of projects, agents
and templates is Zipf's, so that a few prefixes are asked for more often than one replica can answer. Knows nothing of
replicas.
"""

import bisect
import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from bench.cluster_sim.costs import BLOCK, SLOTS, StepCosts

_ZIPF = 1.1


@dataclass(slots=True)
class Request:
    """One request. `blocks`: of its prompt; `key`: the project and the adapter, which share no prefix with others."""

    session: "Session"
    key: int
    blocks: tuple[int, ...]
    output_tokens: int
    arrived_s: float = 0.0
    started_s: float = 0.0
    first_token_s: float = 0.0
    cached_blocks: int = 0
    attempts: int = 0
    gateway: int = 0
    """Through which it was sent last."""
    remaining: int = 0
    """Tokens of the answer that are still to be computed."""
    prompt_remaining: int = 0

    @property
    def prompt_tokens(self) -> int:
        """The length of the prompt."""
        return len(self.blocks) * BLOCK


class Kind(NamedTuple):
    """A kind of session. Ranges are of blocks, tokens, turns and seconds; `shared`: how many prefixes are shared."""

    name: str
    share: float
    """Of the sessions."""
    shared: int
    """Different prefixes, for 16 replicas; more replicas have proportionally more, up to 64 times as many."""
    prefix: tuple[int, int]
    turn: tuple[int, int]
    """Blocks that each turn adds to the prompt, beside the answer."""
    output: tuple[int, int]
    turns: tuple[int, int]
    think_s: tuple[float, float]


KINDS = (
    Kind("agent", 0.35, 12, (30, 110), (2, 24), (30, 200), (4, 14), (0.2, 4.0)),
    Kind("chat", 0.45, 24, (2, 12), (1, 4), (60, 400), (1, 8), (4.0, 40.0)),
    Kind("batch", 0.20, 6, (8, 40), (1, 8), (16, 80), (10, 30), (0.0, 0.0)),
)


@dataclass(slots=True)
class Session:
    """A conversation, an agent's run, or a stream of a batch's lines, which share only their template."""

    kind: Kind
    key: int
    blocks: tuple[int, ...]
    turns: int
    source: random.Random = field(repr=False)
    ids: Iterator[int] = field(repr=False)

    def next_request(self, at_s: float) -> Request | None:
        """Return the next request, which arrives at `at_s`; None after the last turn."""
        if not self.turns:
            return None
        self.turns -= 1
        kind = self.kind
        output = self.source.randint(*kind.output)
        added = tuple(itertools.islice(self.ids, self.source.randint(*kind.turn)))
        blocks = self.blocks + added
        if kind.name != "batch":
            self.blocks = blocks + tuple(itertools.islice(self.ids, -(-output // BLOCK)))
        return Request(self, self.key, blocks, output, arrived_s=at_s)

    def think_s(self) -> float:
        """Return the seconds between an answer and the next request."""
        return self.source.uniform(*self.kind.think_s)


class Traffic:
    """Sessions that begin at random moments. `rate`: sessions per second."""

    def __init__(self, seed: int, replicas: int, rate: float) -> None:
        self._random = random.Random(seed)
        self._rate = rate
        self._ids = itertools.count()
        scale = min(max(replicas / 16, 0.5), 64)
        self._prefixes = {kind.name: self._make_prefixes(kind, max(2, round(kind.shared * scale))) for kind in KINDS}

    def sessions(self, duration_s: float) -> Iterator[tuple[float, Session]]:
        """Return the moments at which sessions begin, and the sessions."""
        at_s = 0.0
        while (at_s := at_s + self._random.expovariate(self._rate)) < duration_s:
            (kind,) = self._random.choices(KINDS, [each.share for each in KINDS])
            key, prefix = self._prefixes[kind.name].choose(self._random)
            turns = self._random.randint(*kind.turns)
            yield at_s, Session(kind, key, prefix, turns, random.Random(self._random.random()), self._ids)

    def _make_prefixes(self, kind: Kind, count: int) -> "Popular":
        prefixes = []
        for _ in range(count):
            blocks = tuple(itertools.islice(self._ids, self._random.randint(*kind.prefix)))
            prefixes.append((self._random.getrandbits(32), blocks))
        return Popular(prefixes)


class Popular:
    """Prefixes with their keys, chosen by Zipf's law."""

    def __init__(self, prefixes: Sequence[tuple[int, tuple[int, ...]]]) -> None:
        self._prefixes = prefixes
        self._cumulated = list(itertools.accumulate(1 / rank**_ZIPF for rank in range(1, len(prefixes) + 1)))

    def choose(self, source: random.Random) -> tuple[int, tuple[int, ...]]:
        """Choose a prefix."""
        return self._prefixes[bisect.bisect(self._cumulated, source.random() * self._cumulated[-1])]


def work_s(kind: Kind, costs: StepCosts) -> float:
    """Return the seconds of a replica with full slots that a session takes on average, if all its prefixes are cached.

    It sets the rate of sessions for a wanted load: a router that loses prefixes causes more.
    """
    turns, added, output = (sum(each) / 2 for each in (kind.turns, kind.turn, kind.output))
    return turns * (added * BLOCK * costs.prompt_token_s + output * (costs.stream_s + costs.base_s / SLOTS))


def session_rate(replicas: int, load: float, costs: StepCosts) -> float:
    """Return the sessions per second that use this share of all replicas."""
    return load * replicas / sum(kind.share * work_s(kind, costs) for kind in KINDS)
