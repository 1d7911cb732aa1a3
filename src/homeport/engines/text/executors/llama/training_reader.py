"""Reads a model's file for training: tokenizes exactly as serving does, and returns the weights as float32.

Creates no context. Knows nothing of training. The training process imports it by name.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from homeport.domain.content import Message
from homeport.domain.text import ChatPrompt
from homeport.domain.tools import ToolUse
from homeport.engines.llama.library import LlamaLibrary, kernels
from homeport.engines.llama.model import LlamaModel
from homeport.engines.text.executor import Vocabulary
from homeport.engines.text.executors.llama import vocabulary
from homeport.engines.text.executors.llama.gguf_tensors import GgufTensors
from homeport.engines.text.templates.chat_template import ChatTemplate


class GgufTrainingReader:
    """One GGUF file. Raises Unavailable if the file or the kernels cannot be used."""

    def __init__(self, file: Path, library: Path | None) -> None:
        self._file = file
        self._library = kernels(library)
        self._model = LlamaModel(self._library, file, gpu_layers=0)
        self.vocabulary: Vocabulary = vocabulary.read(self._library, self._model.handle)
        self._template = ChatTemplate(self)
        self.window = int(self._library.api.llama_model_n_ctx_train(self._model.handle))

    @property
    def parameters(self) -> int:
        """The number of parameters in all tensors of the file."""
        return GgufTensors(self._library, self._file).count

    @property
    def metadata(self) -> Mapping[str, str]:
        """The file's metadata, without arrays."""
        return self._model.metadata

    @property
    def ends(self) -> frozenset[int]:
        """The tokens that end an answer."""
        return self.vocabulary.end_tokens

    @property
    def start(self) -> tuple[int, ...]:
        """The tokens before a document."""
        return () if self.vocabulary.start_token is None else (self.vocabulary.start_token,)

    @property
    def document_end(self) -> int:
        """The token that ends a document."""
        ends = sorted(self.vocabulary.end_tokens)
        return self.vocabulary.document_token if self.vocabulary.document_token in ends or not ends else ends[0]

    def tokenize(self, text: str, *, special: bool) -> list[int]:
        """Return the ids of a text."""
        return self._model.tokenize(text, special=special)

    def tokenize_plain(self, text: str) -> list[int]:
        """Return the ids of a text in which names of control tokens are plain text."""
        return self.tokenize(text, special=False)

    def render_conversation(self, messages: Sequence[Message], tools: ToolUse | None = None) -> list[int]:
        """Return the ids of a conversation up to the start of the answer.

        Raises InvalidRequest if the template refuses it.
        """
        return self._template.render(ChatPrompt(tuple(messages), tools)).ids

    def tensors(self) -> Iterator[tuple[str, NDArray[np.float32]]]:
        """Iterate over the tensors of the file, each with its name, as float32 rows."""
        return _floats(self._library, self._file)

    def adapter(self, file: Path) -> Iterator[tuple[str, NDArray[np.float32]]]:
        """Iterate over the tensors of an adapter, each with its name, as float32 rows."""
        return _floats(self._library, file)

    def close(self) -> None:
        """Free template and model; `tensors` still works."""
        self._template.close()
        self._model.close()


def load(file: Path, library: Path | None) -> GgufTrainingReader:
    """Read a model's file."""
    return GgufTrainingReader(file, library)


def _floats(library: LlamaLibrary, file: Path) -> Iterator[tuple[str, NDArray[np.float32]]]:
    tensors = GgufTensors(library, file)
    return ((name, tensors.floats(name)) for name in tensors.names)
