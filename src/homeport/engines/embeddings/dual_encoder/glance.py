"""The towers of homeport-glance-256: EfficientNet-Lite2 for images, multilingual-e5-small for texts, each projected.

Images are padded to squares, not cropped: what is at the edge counts too. Knows nothing of requests.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from PIL import Image

from homeport.domain.errors import EngineFailed, InvalidRequest, Unavailable
from homeport.engines.embeddings.dual_encoder import projection
from homeport.engines.embeddings.dual_encoder.projection import Projection
from homeport.engines.embeddings.dual_encoder.towers import DualEncoder, Pixels, TokenIds, Vectors
from homeport.engines.embeddings.engine import EmbeddingOptions
from homeport.engines.llama import encoder
from homeport.engines.llama.encoder import EmbeddingEncoder, EncoderOptions
from homeport.engines.onnx_sessions import open_session

TEXT_MODEL = "multilingual-e5-small/weights"
"""The role of the text model's file."""
PREFIX = "query: "
"""That model's prefix for texts that are compared with each other; the projection was trained with it."""

_EDGE = 260
_MEAN, _SPREAD = np.float32(127), np.float32(128)  # as in the network's training
_IMAGE_BATCH, _TEXT_BATCH = 4, 32


def load(paths: Mapping[str, Path], options: EmbeddingOptions) -> DualEncoder:
    """Load the model. `paths`: the network as `weights`, and `TEXT_MODEL`. Raises Unavailable if one does not load."""
    if "weights" not in paths:
        raise Unavailable("The model has no file `weights`.")
    trained = projection.load_built_in()
    network = ImageNetwork(paths["weights"], options.threads)
    library = Path(options.library) if options.library else None
    embedder = encoder.load(
        paths[TEXT_MODEL],
        EncoderOptions(options.window, threads=options.threads, library=library, gpu_layers=options.gpu_layers),
    )
    return DualEncoder(
        ProjectedTextTower(embedder, trained),
        ProjectedImageTower(network, trained),
        trained.dimensions,
        f"{embedder.kernels}; ONNX Runtime {onnxruntime.__version__}",
        embedder.device,
        embedder.device_bytes,
    )


class ProjectedTextTower:
    """Implements `TextTower`. Owns the text model."""

    def __init__(self, embedder: EmbeddingEncoder, trained: Projection) -> None:
        self._embedder = embedder
        self._projection = trained
        self._around = embedder.special_tokens()
        self.window = embedder.window
        self.batch = min(_TEXT_BATCH, embedder.sequences)

    def tokenize(self, text: str) -> TokenIds:
        """Return a text's ids, with the prefix."""
        return self._embedder.tokenize(text if text.startswith(PREFIX) else PREFIX + text)

    def complete(self, ids: TokenIds) -> TokenIds:
        """Return ids of the text model's vocabulary, with the prefix and the tokens around a text."""
        before, after = self._around
        inner = list(ids)
        if inner[: len(before)] == before and inner[len(inner) - len(after) :] == after:
            inner = inner[len(before) : len(inner) - len(after)]
        for token in inner:
            if not 0 <= token < self._embedder.vocabulary:
                raise InvalidRequest(
                    f"Token {token} is not in this model's vocabulary of {self._embedder.vocabulary} tokens."
                )
            if self._embedder.is_control(token):
                raise InvalidRequest(f"Token {token} is a control token of this model: remove it.")
        return [*before, *self._embedder.tokenize(PREFIX, whole=False), *inner, *after]

    def encode(self, inputs: Sequence[TokenIds]) -> Vectors:
        """Compute texts, as many at a time as the text model takes."""
        rows, chunk, tokens = [], list[TokenIds](), 0
        for ids in inputs:
            if chunk and tokens + len(ids) > self._embedder.batch:
                rows.append(self._embedder.encode(chunk))
                chunk, tokens = [], 0
            chunk.append(ids)
            tokens += len(ids)
        rows.append(self._embedder.encode(chunk))
        return self._projection.project_texts(np.concatenate(rows))

    def close(self) -> None:
        """Free the text model."""
        self._embedder.close()


class ImageNetwork:
    """The classifier of images. Raises Unavailable if its file does not load."""

    def __init__(self, file: Path, threads: int | None) -> None:
        self._session = open_session(file, threads)

    def compute(self, images: Sequence[Pixels]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the features and the probabilities of ImageNet's classes. Raises EngineFailed."""
        try:
            features, classes = self._session.run(["features", "classes"], {"pixels": np.stack(images)})
        except Exception as error:  # onnxruntime's errors have no common base class
            raise EngineFailed(f"The image network failed: {type(error).__name__}: {str(error)[:200]}") from error
        return np.asarray(features, np.float32), np.asarray(classes, np.float32)


class ProjectedImageTower:
    """Implements `ImageTower`."""

    patches = 81
    """The places of the network's last layer: 9 x 9."""
    batch = _IMAGE_BATCH

    def __init__(self, network: ImageNetwork, trained: Projection) -> None:
        self._network = network
        self._projection = trained

    def preprocess(self, image: Image.Image) -> Pixels:
        """Return the pixels of an image."""
        return preprocess(image)

    def encode(self, images: Sequence[Pixels]) -> Vectors:
        """Compute images."""
        return self._projection.project_images(*self._network.compute(images))

    def close(self) -> None:
        """Free the network."""
        del self._network


def preprocess(image: Image.Image) -> Pixels:
    """Return an RGB image padded to a square with white, resized and scaled: float32 (3, 260, 260)."""
    edge = max(image.size)
    if image.size != (edge, edge):
        square = Image.new("RGB", (edge, edge), "white")
        square.paste(image, ((edge - image.width) // 2, (edge - image.height) // 2))
        image = square
    pixels = np.asarray(image.resize((_EDGE, _EDGE), Image.Resampling.BICUBIC), np.float32)
    return np.ascontiguousarray((pixels.transpose(2, 0, 1) - _MEAN) / _SPREAD)
