"""Loads an embedding model and builds its engine; `batching` computes."""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from homeport.domain.embeddings import EmbeddingRequest
from homeport.domain.errors import Unavailable
from homeport.domain.models import LoadedModel
from homeport.domain.ports.engine import Engine
from homeport.domain.worker_messages import EngineSpec
from homeport.engines.embeddings import families
from homeport.engines.embeddings.batching import EmbeddingBatcher
from homeport.engines.embeddings.tokenization import InputTokenizer
from homeport.engines.engine_options import read_options
from homeport.engines.llama import encoder
from homeport.engines.llama.encoder import EncoderOptions
from homeport.engines.round_robin import RoundRobinEngine


class EmbeddingOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The options of the engine. `library`: the path of the kernels; `gpu_layers`: layers on GPUs.

    None: the encoder's default.
    """

    window: int | None = None
    threads: int | None = None
    library: str | None = None
    gpu_layers: int | None = None

    @classmethod
    def read(cls, options: Mapping[str, str | int | float | bool | None]) -> "EmbeddingOptions":
        """Check and convert options. Raises Unavailable that names the invalid one."""
        return read_options(cls, options, "embeddings", positive=("window", "threads"), not_negative=("gpu_layers",))


def load(spec: EngineSpec) -> Engine:
    """Load the model that a spec names. Raises Unavailable if it does not load or an option is invalid."""
    options = EmbeddingOptions.read(spec.options)
    weights = spec.paths.get("weights")
    if weights is None:
        raise Unavailable(f"{spec.model} has no weights file.")
    library = Path(options.library) if options.library else None
    model = encoder.load(
        weights,
        EncoderOptions(options.window, threads=options.threads, library=library, gpu_layers=options.gpu_layers),
    )
    loaded = LoadedModel(
        model=spec.model,
        kernels=model.kernels,
        device=model.device,
        device_bytes=model.device_bytes,
        window=model.window,
    )
    batcher = EmbeddingBatcher(model, InputTokenizer(model, families.find_family(model.metadata)))
    return RoundRobinEngine(loaded, EmbeddingRequest, batcher, lambda: model.device_bytes)
