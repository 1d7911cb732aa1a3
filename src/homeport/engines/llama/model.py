"""A loaded GGUF file: its metadata and its tokenizer. Knows nothing of contexts or of the model's use."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from homeport.domain.errors import EngineFailed, InvalidRequest, Unavailable
from homeport.engines.llama.devices import CPU_TYPE, Device, Placement, advise_on_memory, choose_gpus
from homeport.engines.llama.library import LlamaLibrary


class LlamaModel:
    """A loaded file: `handle` is llama.cpp's, `metadata` that of the file, without arrays.

    `gpu_layers`: how many layers shall be on GPUs (0: none; None: all if there is a GPU); `placement`: where they are;
    `device_bytes`: the memory that they take on GPUs. Raises Unavailable if the file cannot be used, memory is too
    small, or layers shall be on a GPU and there is none.
    """

    def __init__(self, library: LlamaLibrary, weights: Path, gpu_layers: int | None = None) -> None:
        self.library = library
        self._api, self._ffi = library.api, library.ffi
        _check_header(weights)
        self._other_devices = tuple(device for device in library.devices if not device.is_gpu)
        gpus = choose_gpus(library.devices, gpu_layers)
        library.log.take_errors()
        library.log.take_report()
        handle = self._load(weights, gpus, gpu_layers)
        if handle == self._ffi.NULL:
            reason = library.log.take_errors() or "no reason given"
            raise Unavailable(f"{weights.name} cannot be loaded: {reason}{advise_on_memory(reason, gpus)}")
        self.handle: object = handle
        report = library.log.take_report()
        self.placement = Placement(gpus, report.layers, report.total) if gpus and report.layers else Placement()
        self.device_bytes = self.placement.bytes_on(report.buffers)
        self.metadata: Mapping[str, str] = _metadata(library, handle)
        self._vocab = self._api.llama_model_get_vocab(handle)

    def _load(self, weights: Path, gpus: Sequence[Device], gpu_layers: int | None) -> object:
        params = self._api.llama_model_default_params()
        # A list of none, unlike no list, also keeps large products of layers on the CPU from being computed on a GPU.
        addresses = [self._ffi.cast("void *", device.address) for device in gpus]
        devices = self._ffi.new("void *[]", [*addresses, self._ffi.NULL])
        params.devices = self._ffi.cast("void *", devices)
        if gpu_layers is not None:
            params.n_gpu_layers = gpu_layers
        return self._api.llama_model_load_from_file(os.fsencode(weights), params)

    @property
    def free_device_bytes(self) -> int:
        """The free memory of this model's GPUs. Drivers that count no use get the weights subtracted."""
        names = {device.name for device in self.placement.devices}
        now = sum(device.free_bytes for device in self.library.devices if device.name in names)
        before = sum(device.free_bytes for device in self.placement.devices)
        return min(now, max(before - self.device_bytes, 0))

    @property
    def is_on_cpu(self) -> bool:
        """Whether the CPU alone computes: neither a GPU nor an accelerator beside the CPU."""
        return not self.placement.layers and all(device.type == CPU_TYPE for device in self._other_devices)

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
