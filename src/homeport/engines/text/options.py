"""What a text engine can be told at its start, and the executor that follows from it. Knows nothing of requests."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec

from homeport.domain.errors import Unavailable
from homeport.domain.worker_messages import EngineSpec
from homeport.engines.text.executor import Executor, ExecutorTraits
from homeport.engines.text.executors.llama import executor as llama

RETAINED_SHARE = 4  # a finished prefix slows a shared cache on a CPU: by default a quarter of the cells may hold such


class TextOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The options of a job. None leaves the choice to the executor.

    `window`: tokens of one sequence; `cells`: tokens of all; `sequences`: how many at a time, retained ones included;
    `batch`: tokens per step; `prefill_slice`: prompt tokens per step beside decoding sequences (None: by what they were
    seen to cost); `retain`: cells kept for finished prefixes (0: none); `share_prefixes`: across projects too;
    `speculate`: compute guessed tokens; `library`: where the kernels are; `kv`: how the KV is laid out (`auto`,
    `unified`, `streams`); `costs`: the file that keeps what steps cost; `prefixes`: the folder that keeps this model's
    prefixes, in files of `prefix_bytes` together.
    """

    executor: str = "llama"
    window: int | None = None
    cells: int | None = None
    sequences: int = 32
    batch: int = 512
    threads: int | None = None
    library: str | None = None
    kv: Literal["auto", "unified", "streams"] = "auto"
    prefill_slice: int | None = None
    retain: int | None = None
    costs: str | None = None
    prefixes: str | None = None
    prefix_bytes: int = 2_000_000_000
    share_prefixes: bool = False
    speculate: bool = True

    @classmethod
    def read(cls, options: Mapping[str, str | int | float | bool | None]) -> "TextOptions":
        """Check a job's options. Raises Unavailable naming what is wrong."""
        try:
            found = msgspec.convert(dict(options), cls)
        except msgspec.ValidationError as error:
            raise Unavailable(f"The text engine's options are wrong: {error}.") from error
        for name in ("window", "cells", "sequences", "batch", "threads", "prefill_slice"):
            value = getattr(found, name)
            if value is not None and value < 1:
                raise Unavailable(f"The text engine's options are wrong: `{name}` must be at least 1, not {value}.")
        return found

    def retained_cells(self, traits: ExecutorTraits) -> int:
        """Cells kept for finished prefixes."""
        if self.retain is not None:
            return self.retain
        return traits.cells // RETAINED_SHARE if traits.shares_cells else traits.cells


def build_executor(job: EngineSpec, options: TextOptions) -> Executor:
    """The executor that a job asks for. Raises Unavailable where there is none of that name or it does not load."""
    if options.executor != "llama":
        raise Unavailable(f"There is no executor `{options.executor}`: there is `llama`.")
    weights = job.paths.get("weights")
    if weights is None:
        raise Unavailable(f"{job.model} has no weights file.")
    library = Path(options.library) if options.library else None
    chosen = llama.LlamaOptions(
        options.window,
        options.cells,
        options.sequences,
        options.batch,
        options.threads,
        library,
        options.kv,
    )
    return llama.load(weights, chosen)
