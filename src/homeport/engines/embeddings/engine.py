"""Loads an embedding model and puts it to work. What it computes is `work`'s affair."""

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
from homeport.engines.llama import encoder
from homeport.engines.llama.encoder import EncoderOptions
from homeport.engines.round_robin import RoundRobinEngine


class EmbeddingOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The options of a job. `library`: where the kernels are; None leaves the choice to the encoder."""

    window: int | None = None
    threads: int | None = None
    library: str | None = None

    @classmethod
    def read(cls, options: Mapping[str, str | int | float | bool | None]) -> "EmbeddingOptions":
        """Check a job's options. Raises Unavailable naming what is wrong."""
        try:
            found = msgspec.convert(dict(options), cls)
        except msgspec.ValidationError as error:
            raise Unavailable(f"The embeddings engine's options are wrong: {error}.") from error
        for name in ("window", "threads"):
            value = getattr(found, name)
            if value is not None and value < 1:
                raise Unavailable(
                    f"The embeddings engine's options are wrong: `{name}` must be at least 1, not {value}."
                )
        return found


def load(job: EngineSpec) -> Engine:
    """Load the model a job names. Raises Unavailable where it does not load or an option is wrong."""
    options = EmbeddingOptions.read(job.options)
    weights = job.paths.get("weights")
    if weights is None:
        raise Unavailable(f"{job.model} has no weights file.")
    library = Path(options.library) if options.library else None
    model = encoder.load(weights, EncoderOptions(options.window, threads=options.threads, library=library))
    loaded = LoadedModel(model=job.model, kernels=model.kernels, window=model.window)
    return RoundRobinEngine(
        loaded, EmbeddingRequest, EmbeddingBatcher(model, InputTokenizer(model, families.of(model.metadata)))
    )
