"""The options of a text engine, and the executor they select. Knows nothing of requests."""

from collections.abc import Mapping
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import msgspec

from homeport.domain.errors import Unavailable
from homeport.domain.models import CPU
from homeport.domain.worker_messages import EngineSpec
from homeport.engines.engine_options import read_options
from homeport.engines.text.block_decoder import BlockDecoder
from homeport.engines.text.executor import Executor, ExecutorTraits
from homeport.engines.text.executors.llama import executor as llama
from homeport.engines.text.hybrid_executor import HybridExecutor

RETAINED_SHARE = 4  # retained prefixes slow a shared cache on a CPU: by default they get a quarter of the cells


class TextOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The options of an engine. None leaves the choice to the executor.

    `window`: tokens of one sequence; `cells`: tokens of all; `sequences`: how many at a time, retained ones included;
    `batch`: tokens per step; `prefill_slice`: prompt tokens per step with decoding sequences (None: from measured
    costs); `retain`: cells for finished prefixes (0: none); `share_prefixes`: also across projects; `speculate`:
    compute drafts; `prompts`: what computes prompts and several streams (`auto`: OpenVINO where it is installed and
    faster; `off`: the kernels); `library`: the path of the kernels; `gpu_layers`: layers on GPUs (None: all if there is
    a GPU); `kv`: the layout of the KV (`auto`, `unified`, `streams`); `costs`: the file that stores the costs of steps;
    `prefixes`: the folder that stores this model's prefixes, in files of at most `prefix_bytes` together.
    """

    executor: str = "llama"
    window: int | None = None
    cells: int | None = None
    sequences: int = 32
    batch: int = 512
    threads: int | None = None
    library: str | None = None
    gpu_layers: int | None = None
    kv: Literal["auto", "unified", "streams"] = "auto"
    prefill_slice: int | None = None
    retain: int | None = None
    costs: str | None = None
    prefixes: str | None = None
    prefix_bytes: int = 2_000_000_000
    share_prefixes: bool = False
    speculate: bool = True
    prompts: Literal["auto", "off"] = "auto"

    @classmethod
    def read(cls, options: Mapping[str, str | int | float | bool | None]) -> "TextOptions":
        """Check and convert options. Raises Unavailable that names the invalid one."""
        positive = ("window", "cells", "sequences", "batch", "threads", "prefill_slice")
        return read_options(cls, options, "text", positive=positive, not_negative=("gpu_layers",))

    def retained_cells(self, traits: ExecutorTraits) -> int:
        """Return the maximum cells of finished prefixes."""
        if self.retain is not None:
            return self.retain
        return traits.cells // RETAINED_SHARE if traits.shares_cells else traits.cells


def build_executor(spec: EngineSpec, options: TextOptions) -> Executor:
    """Load the executor that the options name. Raises Unavailable if the name is unknown or it does not load."""
    if options.executor != "llama":
        raise Unavailable(f"Unknown executor `{options.executor}`: use `llama`.")
    weights = spec.paths.get("weights")
    if weights is None:
        raise Unavailable(f"{spec.model} has no weights file.")
    library = Path(options.library) if options.library else None
    llama_options = llama.LlamaOptions(
        options.window,
        options.cells,
        options.sequences,
        options.batch,
        options.threads,
        library,
        options.kv,
        options.gpu_layers,
    )
    host = llama.load(weights, llama_options)
    is_possible = host.traits.can_trim and host.traits.device == CPU and find_spec("openvino") is not None
    if options.prompts == "off" or not is_possible:
        return host
    return HybridExecutor(host, partial(_open_decoder, host, weights))


def _open_decoder(host: llama.LlamaExecutor, weights: Path) -> BlockDecoder:
    from homeport.engines.text.executors.openvino.decoder import BLOCK_TOKENS, OpenVinoDecoder

    traits = host.traits
    # Enough for all cells, with a last block of each sequence that is not full, and one that is being copied.
    n_blocks = traits.cells // BLOCK_TOKENS + 2 * traits.sequences
    return OpenVinoDecoder(host.model, weights, host.threads, n_blocks)
