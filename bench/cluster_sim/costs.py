"""What a step of a replica takes, from measurements.

The numbers are those of smollm2-135m with the extra `prompts` on two cores of an AMD EPYC (bench/LOG.md, 2026-11-30,
fca30db): the median gap is 8.8, 13.6, 21.3 and 34.3 ms with 1, 4, 16 and 32 streams, and prompts are computed at 2,700
tokens/s. Other machines have other units, but what a router decides depends on their ratios: a prompt token costs half
a token of a stream beside others, and a stream alone costs a third of 16.
"""

from typing import NamedTuple


class StepCosts(NamedTuple):
    """Seconds: of any step, of each stream in it, and of each prompt token in it."""

    base_s: float = 9.3e-3
    stream_s: float = 0.77e-3
    prompt_token_s: float = 1 / 2700

    def step_s(self, streams: int, prompt_tokens: int) -> float:
        """Return the seconds of one step."""
        return self.base_s + self.stream_s * streams + self.prompt_token_s * prompt_tokens


BLOCK = 64
"""Tokens of a block of the prefix cache."""
CHUNK = 256
"""Prompt tokens that a step computes beside streams."""
SLOTS = 16
"""Requests that a replica computes at once; the others wait."""
CACHE_BLOCKS = 1024
"""Blocks that a replica keeps: 65,536 tokens."""
