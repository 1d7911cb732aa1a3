"""What one run of the benchmarks is to do. Knows nothing of how it is done."""

from collections.abc import Callable
from pathlib import Path

import msgspec

from bench import servers
from bench.workload import Workload

_QUICK = 6
"""By how much a quick run shortens prompts and answers."""


class Plan(msgspec.Struct, frozen=True):
    """One run: which model, how many rounds, and which peers there are.

    `quick`: tiny loads, to see that everything works; its figures mean nothing. `peer`: a llama.cpp server to take
    instead of the wheel's. `vllm`: the interpreter of an environment that may have it, `vllm_weights` its model.
    """

    model: str
    rounds: int
    threads: int
    home: Path
    say: Callable[[str], None]
    quick: bool = False
    peer: Path | None = None
    vllm: str | None = None
    vllm_weights: str | None = None

    def sized(self, work: Workload) -> Workload:
        """The load as it is to be run."""
        return work.shrunk(_QUICK) if self.quick else work

    def rounds_of(self, *, is_long: bool) -> int:
        """How many rounds: one less where each takes minutes."""
        return max(1, self.rounds - is_long)

    def same_kernels(self) -> dict[str, str]:
        """Settings of ours where it computes what the peer computes: its kernels, its file, as many slots."""
        return {
            "HOME": str(self.home),
            "LLAMA_LIB": str(servers.wheel_kernels()),
            "LAYOUT": "original",
            "THREADS": str(self.threads),
            "SLOTS": str(servers.SLOTS),
        }
