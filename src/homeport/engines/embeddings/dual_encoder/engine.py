"""Loads a dual encoder and builds its engine; `batching` computes."""

from homeport.domain.embeddings import EmbeddingRequest
from homeport.domain.models import LoadedModel
from homeport.domain.ports.engine import Engine
from homeport.domain.worker_messages import EngineSpec
from homeport.engines.embeddings.dual_encoder import layouts
from homeport.engines.embeddings.dual_encoder.batching import DualEncoderBatcher
from homeport.engines.embeddings.engine import EmbeddingOptions
from homeport.engines.round_robin import RoundRobinEngine


def load(spec: EngineSpec) -> Engine:
    """Load the model that a spec names. Raises Unavailable if it does not load or an option is invalid.

    The options are those of all embedding models; ONNX Runtime's towers use only the number of threads.
    """
    model = layouts.load(spec.paths, EmbeddingOptions.read(spec.options))
    loaded = LoadedModel(
        model=spec.model,
        kernels=model.kernels,
        device=model.device,
        device_bytes=model.device_bytes,
        window=model.texts.window,
    )
    return RoundRobinEngine(loaded, EmbeddingRequest, DualEncoderBatcher(model), lambda: model.device_bytes)
