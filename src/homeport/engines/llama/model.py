"""A loaded GGUF file: its metadata and its tokenizer. Knows nothing of contexts or of the model's use."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from homeport.domain.errors import EngineFailed, InvalidRequest, Unavailable
from homeport.engines.llama.library import LlamaLibrary


class LlamaModel:
    """A loaded file: `handle` is llama.cpp's, `metadata` that of the file, without arrays.

    Raises Unavailable if the file cannot be used or memory is too small.
    """

    def __init__(self, library: LlamaLibrary, weights: Path) -> None:
        self.library = library
        self._api, self._ffi = library.api, library.ffi
        _check_header(weights)
        library.log.take_errors()
        handle = self._api.llama_model_load_from_file(os.fsencode(weights), self._api.llama_model_default_params())
        if handle == self._ffi.NULL:
            raise Unavailable(f"{weights.name} cannot be loaded: {library.log.take_errors() or 'no reason given'}")
        self.handle: object = handle
        self.metadata: Mapping[str, str] = _metadata(library, handle)
        self._vocab = self._api.llama_model_get_vocab(handle)

    def tokenize(self, text: str, *, special: bool, whole: bool = False) -> list[int]:
        """Return the ids of a text, from any thread. `whole`: with the tokens that the model uses around a text.

        Raises InvalidRequest for half a surrogate pair, which UTF-8 cannot encode.
        """
        try:
            raw = text.encode()
        except UnicodeEncodeError as error:
            raise InvalidRequest(f"The text is not valid Unicode: {error.reason}.") from error
        # A token has at least one byte, except the space that some vocabularies prepend and the two around a text.
        size = len(raw) + 8
        ids = self._ffi.new("llama_token[]", size)
        count = self._api.llama_tokenize(self._vocab, raw, len(raw), ids, size, whole, special)
        if count < 0:
            raise EngineFailed(f"llama.cpp needs {-count} tokens for {len(raw)} bytes of text.")
        return list(self._ffi.unpack(ids, count))

    def close(self) -> None:
        """Free the model; its contexts must be freed before. May be called twice."""
        if self.handle is not None:
            self._api.llama_model_free(self.handle)
            self.handle = None


def _check_header(weights: Path) -> None:
    try:
        with weights.open("rb") as file:
            magic = file.read(4)
    except OSError as error:
        raise Unavailable(f"{weights.name} cannot be read: {error.strerror}.") from error
    if magic != b"GGUF":
        raise Unavailable(f"{weights.name} is not a GGUF file.")


def _metadata(library: LlamaLibrary, model: object) -> dict[str, str]:
    """Return the file's metadata, with values as text."""
    api, ffi = library.api, library.ffi

    def read(function: Any, index: int) -> str:
        # The returned length does not depend on the buffer's size, so the first call only gets the length.
        length = function(model, index, ffi.NULL, 0)
        text = ffi.new("char[]", length + 1)
        function(model, index, text, length + 1)
        return bytes(ffi.buffer(text, length)).decode("utf-8", "replace")

    return {
        read(api.llama_model_meta_key_by_index, index): read(api.llama_model_meta_val_str_by_index, index)
        for index in range(api.llama_model_meta_count(model))
    }
