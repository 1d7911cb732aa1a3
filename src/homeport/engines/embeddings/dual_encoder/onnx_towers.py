"""Towers computed by ONNX Runtime. What they take and return is read from the graphs themselves. Knows no files' names.

Exports differ in the names and types of inputs, in whether several inputs are computed at once, and in the outputs
besides the vectors.
"""

import mmap
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from homeport.domain.errors import EngineFailed, Unavailable
from homeport.engines.embeddings.dual_encoder.preprocessing import Preprocessing
from homeport.engines.embeddings.dual_encoder.text_tokenizer import TextTokenizer
from homeport.engines.embeddings.dual_encoder.towers import Pixels, TokenIds, Vectors
from homeport.engines.onnx_sessions import open_session

TEXT_BATCH, IMAGE_BATCH = 32, 4
_OUTPUTS = ("text_embeds", "image_embeds", "embedding", "pooler_output")  # the first of these is the vectors
_IDS = ("input_ids", "text")
_MASK = "attention_mask"
_QUANTIZES = b"DynamicQuantizeLinear"
_TYPES: Mapping[str, type[np.generic]] = {
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
}


class OnnxGraph:
    """A graph with one output of vectors. Raises Unavailable if the file does not load or has no such output.

    `max_batch`: how many inputs may be computed together, so that none changes the vectors of others; None: any number.
    """

    def __init__(self, file: Path, threads: int | None) -> None:
        self._session = open_session(file, threads)
        self.name = file.name
        self.inputs = {each.name: each for each in self._session.get_inputs()}
        outputs = {each.name: each for each in self._session.get_outputs()}
        flat = [name for name, each in outputs.items() if len(each.shape) == 2]
        named = [name for name in _OUTPUTS if name in flat] or flat
        if not named:
            raise Unavailable(f"{file.name} has no output of vectors (it has: {', '.join(outputs)}).")
        self._output = named[0]
        self.max_batch = 1 if _quantizes_by_batch(file) else None

    def type(self, name: str) -> type[np.generic]:
        """Return the type of an input. Raises Unavailable for one that no tower has."""
        given = self.inputs[name].type
        if given not in _TYPES:
            raise Unavailable(f"{self.name} has an input of an unsupported type: {given}.")
        return _TYPES[given]

    def extent(self, name: str, axis: int) -> int | None:
        """Return an input's fixed extent along an axis; None if it may vary."""
        shape = self.inputs[name].shape
        extent = shape[axis] if axis < len(shape) else None
        return extent if isinstance(extent, int) else None

    def run(self, feeds: dict[str, NDArray[np.generic]]) -> Vectors:
        """Compute the vectors. Raises EngineFailed."""
        try:
            (rows,) = self._session.run([self._output], feeds)
        except Exception as error:  # onnxruntime's errors have no common base class
            raise EngineFailed(f"{self.name} failed: {type(error).__name__}: {str(error)[:200]}") from error
        return np.asarray(rows, np.float32)


def _quantizes_by_batch(file: Path) -> bool:
    """Return whether a graph quantizes activations by the range of the whole batch, and not of each input."""
    with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(_QUANTIZES) >= 0


class OnnxTextTower:
    """Implements `TextTower`. `fills_window`: the model reads padding, so texts are padded as in its training."""

    def __init__(self, graph: OnnxGraph, tokenizer: TextTokenizer, *, fills_window: bool) -> None:
        self._graph = graph
        self._tokenizer = tokenizer
        self._ids = next((name for name in _IDS if name in graph.inputs), "")
        if unknown := graph.inputs.keys() - {self._ids, _MASK}:
            raise Unavailable(f"{graph.name} has unsupported inputs: {', '.join(sorted(unknown))}.")
        if not self._ids:
            raise Unavailable(f"{graph.name} has no input of token ids ({' or '.join(_IDS)}).")
        length = graph.extent(self._ids, 1)
        self._length = length or (tokenizer.window if fills_window else None)
        self.window = min(length or tokenizer.window, tokenizer.window)
        self._fixed_batch = graph.extent(self._ids, 0)
        self.batch = self._fixed_batch or graph.max_batch or TEXT_BATCH
        for name in graph.inputs:
            graph.type(name)

    def tokenize(self, text: str) -> TokenIds:
        """Return a text's ids."""
        return self._tokenizer.tokenize(text)

    def complete(self, ids: TokenIds) -> TokenIds:
        """Return ids of the model's own vocabulary with the tokens around a text."""
        return self._tokenizer.complete(ids)

    def encode(self, inputs: Sequence[TokenIds]) -> Vectors:
        """Compute texts."""
        rows = max(len(inputs), self._fixed_batch or 0)
        ids = np.full((rows, self._length or max(map(len, inputs))), self._tokenizer.pad_id, np.int64)
        mask = np.zeros_like(ids)
        for row, tokens in enumerate(inputs):
            ids[row, : len(tokens)] = tokens
            mask[row, : len(tokens)] = 1
        mask[len(inputs) :, 0] = 1  # a row of a fixed batch that holds no text must not be empty
        feeds = {name: (mask if name == _MASK else ids).astype(self._graph.type(name)) for name in self._graph.inputs}
        return self._graph.run(feeds)[: len(inputs)]

    def close(self) -> None:
        """Free the graph."""
        del self._graph


class OnnxImageTower:
    """Implements `ImageTower`. `patch`: the edge of one patch, in pixels."""

    def __init__(self, graph: OnnxGraph, preprocessing: Preprocessing, patch: int) -> None:
        size = preprocessing.output
        if size is None:
            raise Unavailable(f"{graph.name}: the preprocessing gives images of different sizes.")
        if len(graph.inputs) != 1:
            raise Unavailable(f"{graph.name} has {len(graph.inputs)} inputs, not one of pixels.")
        (self._input,) = graph.inputs
        wanted = graph.extent(self._input, 3), graph.extent(self._input, 2)
        if any(edge is not None and edge != own for edge, own in zip(wanted, size, strict=True)):
            raise Unavailable(f"{graph.name} reads images of {wanted[0]}x{wanted[1]}, not {size[0]}x{size[1]}.")
        self._graph = graph
        self._preprocessing = preprocessing
        self._type = graph.type(self._input)
        self._fixed_batch = graph.extent(self._input, 0)
        self.batch = self._fixed_batch or graph.max_batch or IMAGE_BATCH
        self.patches = max(1, (size[0] // patch) * (size[1] // patch))

    def preprocess(self, image: Image.Image) -> Pixels:
        """Return the pixels of an image."""
        return self._preprocessing.apply(image)

    def encode(self, images: Sequence[Pixels]) -> Vectors:
        """Compute images."""
        pixels = np.stack(images)
        if self._fixed_batch is not None and len(images) < self._fixed_batch:
            missing = self._fixed_batch - len(images)
            pixels = np.concatenate([pixels, np.zeros((missing, *pixels.shape[1:]), np.float32)])
        return self._graph.run({self._input: pixels.astype(self._type, copy=False)})[: len(images)]

    def close(self) -> None:
        """Free the graph."""
        del self._graph
