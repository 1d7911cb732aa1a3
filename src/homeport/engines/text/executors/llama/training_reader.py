"""A model's file as training reads it: text to the very tokens that serving reads, and the weights as plain numbers.

Loads no context. Knows nothing of training. Imported by name in the process that trains.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from homeport.domain.content import Message
from homeport.engines.llama.library import kernels
from homeport.engines.llama.model import LlamaModel
from homeport.engines.text.executor import Vocabulary
from homeport.engines.text.executors.llama import requantize, vocabulary
from homeport.engines.text.templates import ChatTemplate


class GgufTrainingReader:
    """One GGUF. Raises Unavailable where the file or the kernels do not allow it."""

    def __init__(self, file: Path, library: Path | None) -> None:
        self._file = file
        self._library = kernels(library)
        self._model = LlamaModel(self._library, file)
        self.vocabulary: Vocabulary = vocabulary.read(self._library, self._model.handle)
        self._template = ChatTemplate(self)
        self.window = int(self._library.api.llama_model_n_ctx_train(self._model.handle))

    @property
    def parameters(self) -> int:
        """Numbers in all tensors of the file."""
        return requantize.count(self._library, self._file)

    @property
    def metadata(self) -> Mapping[str, str]:
        """The file's metadata; arrays are left out."""
        return self._model.metadata

    @property
    def ends(self) -> frozenset[int]:
        """The tokens that end an answer."""
        return self.vocabulary.end_tokens

    @property
    def start(self) -> tuple[int, ...]:
        """What stands before a document."""
        return () if self.vocabulary.start_token is None else (self.vocabulary.start_token,)

    @property
    def document_end(self) -> int:
        """The token that ends a document."""
        ends = sorted(self.vocabulary.end_tokens)
        return self.vocabulary.document_token if self.vocabulary.document_token in ends or not ends else ends[0]

    def tokenize(self, text: str, *, special: bool) -> list[int]:
        """Text to ids."""
        return self._model.tokenize(text, special=special)

    def tokenize_plain(self, text: str) -> list[int]:
        """Text that holds no control tokens to ids."""
        return self.tokenize(text, special=False)

    def render_conversation(self, messages: Sequence[Message]) -> list[int]:
        """A conversation with the model's turn opened. Raises InvalidRequest where the model has no place for it."""
        return self._template.render(messages).ids

    def tensors(self) -> Iterator[tuple[str, NDArray[np.float32]]]:
        """Every tensor of the file by name, as float32 rows."""
        return requantize.floats(self._library, self._file)

    def adapter(self, file: Path) -> Iterator[tuple[str, NDArray[np.float32]]]:
        """Every tensor of an adapter by name, as float32 rows."""
        return requantize.floats(self._library, file)

    def close(self) -> None:
        """Free what was loaded; `tensors` can still be read."""
        self._template.close()
        self._model.close()


def load(file: Path, library: Path | None) -> GgufTrainingReader:
    """Read a model's file."""
    return GgufTrainingReader(file, library)
