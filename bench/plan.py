"""The parameters of one run of the benchmarks."""

from collections.abc import Callable
from pathlib import Path

import msgspec

from bench import servers
from bench.workload import Workload

_QUICK_FACTOR = 6
"""A quick run shortens prompts and answers by this factor."""


class Plan(msgspec.Struct, frozen=True):
    """One run: the model, the number of rounds, and llama.cpp's server.

    `quick`: tiny loads, only to check that everything works. `llama_server`: llama.cpp's server to use instead of the
    wheel's. `say` reports progress.
    """

    model: str
    rounds: int
    threads: int
    home: Path
    say: Callable[[str], None]
    quick: bool = False
    llama_server: Path | None = None

    def sized(self, work: Workload) -> Workload:
        """The load, shortened in a quick run."""
        return work.shrunk(_QUICK_FACTOR) if self.quick else work

    def rounds_of(self, *, is_long: bool) -> int:
        """The number of rounds: one less if each takes minutes."""
        return max(1, self.rounds - is_long)

    def same_kernels(self) -> dict[str, str]:
        """Settings with which our server computes the same as the peer: same kernels, file and number of slots."""
        return {
            "HOME": str(self.home),
            "LLAMA_LIB": str(servers.wheel_kernels()),
            "LAYOUT": "original",
            "THREADS": str(self.threads),
            "SLOTS": str(servers.SLOTS),
        }
