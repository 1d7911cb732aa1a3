"""A GGUF file, loaded: what it says of itself, and its tokeniser. Knows nothing of contexts or of what it is for."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from homeport.domain.errors import EngineFailed, InvalidRequest, Unavailable
from homeport.engines.llama.library import LlamaLibrary


class LlamaModel:
    """A loaded file: `handle` is llama.cpp's, `metadata` what the file says of itself (arrays left out).

    Raises Unavailable where the file or the memory does not allow it.
    """

    def __init__(self, library: LlamaLibrary, weights: Path) -> None:
        self.library = library
        self._api, self._ffi = library.api, library.ffi
        _check_header(weights)
        library.log.take_errors()
        found = self._api.llama_model_load_from_file(os.fsencode(weights), self._api.llama_model_default_params())
        if found == self._ffi.NULL:
            raise Unavailable(f"{weights.name} cannot be loaded: {library.log.take_errors() or 'no reason given'}")
        self.handle: object = found
        self.metadata: Mapping[str, str] = _metadata(library, found)
        self._vocab = self._api.llama_model_get_vocab(found)

    def tokenize(self, text: str, *, special: bool, whole: bool = False) -> list[int]:
        """Text to ids, from any thread. `whole`: with the tokens that the model wants around a text.

        Raises InvalidRequest for half a surrogate pair, which no UTF-8 can say.
        """
        try:
            raw = text.encode()
        except UnicodeEncodeError as error:
            raise InvalidRequest(f"The text is not valid Unicode: {error.reason}.") from error
        # A token is at least one byte but for the space some vocabularies put in front, and the two around a text.
        room = len(raw) + 8
        ids = self._ffi.new("llama_token[]", room)
        count = self._api.llama_tokenize(self._vocab, raw, len(raw), ids, room, whole, special)
        if count < 0:
            raise EngineFailed(f"llama.cpp needs {-count} tokens for {len(raw)} bytes of text.")
        return list(self._ffi.unpack(ids, count))

    def close(self) -> None:
        """Free it; contexts of it first. May be called twice."""
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
    """Everything the file says of itself, values as text of any length."""
    api, ffi = library.api, library.ffi

    def read(function: Any, index: int) -> str:
        # The length it returns does not depend on the room given, so the first call only asks for it.
        length = function(model, index, ffi.NULL, 0)
        text = ffi.new("char[]", length + 1)
        function(model, index, text, length + 1)
        return bytes(ffi.buffer(text, length)).decode("utf-8", "replace")

    return {
        read(api.llama_model_meta_key_by_index, index): read(api.llama_model_meta_val_str_by_index, index)
        for index in range(api.llama_model_meta_count(model))
    }
