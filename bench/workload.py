"""The load to send, as numbers only. Knows nothing of servers or sockets.

Prompts are random token ids with a fixed seed, so every server computes exactly the same work, and no prompt has been
seen before. All prompts of a run begin with the same `shared_tokens` ids.
"""

import random

import msgspec

_FIRST_ID, _LAST_ID = 1000, 40000
"""Ids that are ordinary pieces of text in every vocabulary measured here."""


class Workload(msgspec.Struct, frozen=True):
    """One load: `requests`, each with its own prompt, `n` choices and `output_tokens` per choice.

    All arrive at once, or at random with `rate_per_s` on average (a Poisson process). At most `concurrency` are sent at
    the same time; None: all.
    """

    name: str
    requests: int
    prompt_tokens: int = 200
    output_tokens: int = 64
    shared_tokens: int = 0
    n: int = 1
    rate_per_s: float | None = None
    concurrency: int | None = None

    def prompts(self, turn: int) -> list[list[int]]:
        """`requests` prompts of `shared_tokens + prompt_tokens` ids, which depend on the load and the turn only."""
        draw = random.Random(f"{self.name}/{turn}/prompts")

        def ids(count: int) -> list[int]:
            return [draw.randrange(_FIRST_ID, _LAST_ID) for _ in range(count)]

        shared = ids(self.shared_tokens)
        return [shared + ids(self.prompt_tokens) for _ in range(self.requests)]

    def arrivals(self, turn: int) -> list[float]:
        """The time of each request's arrival, in seconds after the start, ascending."""
        if self.rate_per_s is None:
            return [0.0] * self.requests
        draw = random.Random(f"{self.name}/{turn}/arrivals")
        now, found = 0.0, []
        for _ in range(self.requests):
            now += draw.expovariate(self.rate_per_s)
            found.append(now)
        return found

    def shrunk(self, by: int) -> "Workload":
        """The same load with prompts and answers shortened by a factor."""
        return msgspec.structs.replace(
            self,
            prompt_tokens=max(8, self.prompt_tokens // by),
            output_tokens=max(8, self.output_tokens // by),
            shared_tokens=self.shared_tokens // by,
        )
