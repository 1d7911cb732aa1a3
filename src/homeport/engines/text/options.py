"""What a text engine can be told at its start, and the executor that follows from it. Knows nothing of requests."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec

from homeport.domain.errors import Unavailable
from homeport.domain.link import Job
from homeport.engines.text.executor import Executor, Traits
from homeport.engines.text.executors.fake import FakeExecutor

RETAINED_SHARE = 4  # a finished prefix slows a shared cache on a CPU: by default a quarter of the cells may hold such


class TextOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The options of a job. None leaves the choice to the executor.

    `window`: tokens of one sequence; `cells`: tokens of all; `sequences`: how many at a time, retained ones included;
    `batch`: tokens per step; `prefill_slice`: prompt tokens per step beside decoding sequences (None: by what they were
    seen to cost); `retain`: cells kept for finished prefixes (0: none); `share_prefixes`: across projects too;
    `speculate`: compute guessed tokens; `library`: where the kernels are; `kv`: how the KV is laid out (`auto`,
    `unified`, `streams`); `costs`: the file that keeps what steps cost; `prefixes`: the folder that keeps this model's
    prefixes, in files of `prefix_bytes` together. The rest are the fake executor's: `delay_s` per step, `script` (a
    JSON object of prompt endings and answers), `poison` (text that breaks a step), `can_trim`, `state`, `adapters`.
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
    delay_s: float = 0.0
    script: str = "{}"
    poison: str | None = None
    can_trim: bool = True
    state: str = "tokens"
    adapters: bool = True

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

    def retained(self, traits: Traits) -> int:
        """Cells kept for finished prefixes."""
        if self.retain is not None:
            return self.retain
        return traits.cells // RETAINED_SHARE if traits.shares_cells else traits.cells


def build_executor(job: Job, options: TextOptions) -> Executor:
    """The executor that a job asks for. Raises Unavailable where there is none of that name or it does not load."""
    if options.executor == "fake":
        return _fake(options)
    if options.executor != "llama":
        raise Unavailable(f"There is no executor `{options.executor}`: there are `llama` and `fake`.")
    # Imported here because it loads native code, which the fake executor does without.
    from homeport.engines.text.executors.llama import executor as llama

    weights = job.files.get("weights")
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


def _fake(options: TextOptions) -> FakeExecutor:
    window = options.window or 2048
    cells = options.cells or 4 * window
    script = {ending.encode(): answer.encode() for ending, answer in json.loads(options.script).items()}
    shares = options.kv != "streams"
    traits = Traits(
        window, cells, options.sequences, options.batch, shares, options.can_trim, options.state, options.adapters
    )
    poison = options.poison.encode() if options.poison else None
    return FakeExecutor(traits, delay_s=options.delay_s, script=script, poison=poison)
