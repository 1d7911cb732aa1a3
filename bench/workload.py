"""What load to send: numbers only. Knows nothing of servers or sockets.

Prompts are token ids drawn by a seeded generator, so every server computes exactly the same work and no prompt
can have been seen before; `shared_tokens` of them begin every prompt of one run alike.
"""

import random

import msgspec


class Workload(msgspec.Struct, frozen=True):
    """One load: `requests` at once, each with its own prompt, `n` choices and `output_tokens` per choice."""

    name: str
    requests: int
    prompt_tokens: int = 200
    output_tokens: int = 64
    shared_tokens: int = 0
    n: int = 1

    def prompts(self, seed: int) -> list[list[int]]:
        """`requests` prompts of `shared_tokens + prompt_tokens` ids. The same seed gives the same prompts."""
        draw = random.Random(seed)

        def ids(count: int) -> list[int]:
            return [draw.randrange(1000, 40000) for _ in range(count)]

        shared = ids(self.shared_tokens)
        return [shared + ids(self.prompt_tokens) for _ in range(self.requests)]

    @property
    def total_output(self) -> int:
        """Tokens the server generates in one run."""
        return self.requests * self.n * self.output_tokens


TEXT_WORKLOADS = (
    Workload("1 stream", requests=1),
    Workload("4 streams", requests=4),
    Workload("16 streams", requests=16),
    Workload("32 streams", requests=32),
    Workload("16 sharing 600", requests=16, shared_tokens=600),
    Workload("4 x n=4", requests=4, n=4),
)
