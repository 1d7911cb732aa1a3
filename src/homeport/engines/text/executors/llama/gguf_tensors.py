"""The tensors of a GGUF file, converted by ggml: to float32, or to int8 in groups.

`llama_model_quantize` is not used: the wheel does not export it, and its parameters are another struct that differs by
build. ggml's functions for single tensors are in every known build.
Knows nothing of a tensor's use. Source: ggml/include/gguf.h, ggml.h (builds 11413 to 11739).
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from homeport.domain.errors import Unavailable
from homeport.engines.llama.library import LlamaLibrary

F32, F16, Q8_0, BF16 = 0, 1, 8, 30
"""ggml's numbers of types."""

GROUP = 32
"""Weights of a Q8_0 block."""

DECLARATIONS = """
typedef struct gguf_context gguf_context;
typedef struct { bool no_alloc; void **ctx; } gguf_init_params;
gguf_context *gguf_init_from_file(const char *path, gguf_init_params params);
void gguf_free(gguf_context *ctx);
int64_t gguf_get_n_tensors(const gguf_context *ctx);
size_t gguf_get_data_offset(const gguf_context *ctx);
size_t gguf_get_alignment(const gguf_context *ctx);
const char *gguf_get_tensor_name(const gguf_context *ctx, int64_t id);
int gguf_get_tensor_type(const gguf_context *ctx, int64_t id);
size_t gguf_get_tensor_offset(const gguf_context *ctx, int64_t id);
size_t gguf_get_tensor_size(const gguf_context *ctx, int64_t id);
const int64_t *gguf_get_tensor_ne(const gguf_context *ctx, int64_t id);
void gguf_set_tensor_type(gguf_context *ctx, const char *name, int type);
bool gguf_write_to_file(const gguf_context *ctx, const char *path, bool only_meta);

typedef struct {
    const char *type_name;
    int64_t blck_size;
    int64_t blck_size_interleave;
    size_t type_size;
    bool is_quantized;
    void (*to_float)(const void *source, float *target, int64_t count);
} ggml_type_traits;
const ggml_type_traits *ggml_get_type_traits(int type);
size_t ggml_row_size(int type, int64_t n_per_row);
size_t ggml_quantize_chunk(int type, const float *source, void *target, int64_t start, int64_t rows,
                           int64_t n_per_row, const float *importance);
"""

# The traits of these types in every build; read with a wrong struct layout, they differ.
_KNOWN_TRAITS = {
    0: ("f32", 1, 4, False),
    2: ("q4_0", 32, 18, True),
    8: ("q8_0", 32, 34, True),
    12: ("q4_K", 256, 144, True),
}
_BLOCK = 1 << 22  # weights converted at a time: 16 MB as floats


class Tensor(msgspec.Struct, frozen=True):
    """One tensor: its type's number, its rows and columns, and where its bytes are in the file."""

    name: str
    type: int
    shape: tuple[int, int]
    start: int
    size: int


class GgufTensors:
    """The tensors of one file, which is read only when they are. Raises Unavailable if kernels or file are unusable."""

    def __init__(self, library: LlamaLibrary, source: Path) -> None:
        self._ffi, self._api = library.functions(DECLARATIONS)
        check_functions(self._ffi, self._api, library)
        with open_gguf(self._ffi, self._api, source) as header:
            self._tensors = {tensor.name: tensor for tensor in read_tensors(self._ffi, self._api, header)}
        self._data = np.memmap(source, np.uint8, "r")

    def __contains__(self, name: object) -> bool:
        """Whether there is a tensor of this name."""
        return name in self._tensors

    @property
    def names(self) -> list[str]:
        """The names of all tensors."""
        return list(self._tensors)

    @property
    def count(self) -> int:
        """The number of weights in all tensors."""
        return sum(tensor.shape[0] * tensor.shape[1] for tensor in self._tensors.values())

    def shape(self, name: str) -> tuple[int, int]:
        """Return the rows and columns of a tensor."""
        return self._tensors[name].shape

    def floats(self, name: str) -> NDArray[np.float32]:
        """Return a tensor as float32 rows; a vector is one row."""
        tensor = self._tensors[name]
        values = np.empty(tensor.shape, np.float32)
        for first, part in dequantize(self._ffi, self._api, tensor, self._raw(tensor)):
            values[first : first + len(part)] = part
        return values

    def rows(self, name: str, indices: NDArray[np.int32]) -> NDArray[np.float32]:
        """Return some rows of a matrix as float32."""
        tensor = self._tensors[name]
        size = self._api.ggml_row_size(tensor.type, tensor.shape[1])
        raw = self._raw(tensor).reshape(-1, size)[indices]
        picked = msgspec.structs.replace(tensor, shape=(len(indices), tensor.shape[1]))
        parts = [part for _, part in dequantize(self._ffi, self._api, picked, raw.reshape(-1))]
        return np.concatenate(parts) if len(parts) > 1 else parts[0]

    def int8_groups(self, name: str) -> tuple[NDArray[np.int8], NDArray[np.float16]]:
        """Return a matrix as groups (rows, columns / 32, 32) of int8, and their scales (rows, columns / 32, 1).

        Raises Unavailable if the rows are no multiple of 32.
        """
        tensor = self._tensors[name]
        rows, columns = tensor.shape
        if columns % GROUP:
            raise Unavailable(f"The rows of {name} have {columns} values, no multiple of {GROUP}.")
        raw = self._raw(tensor)
        if tensor.type != Q8_0:
            parts = dequantize(self._ffi, self._api, tensor, raw)
            raw = np.concatenate([quantize(self._ffi, self._api, part, Q8_0, name) for _, part in parts])
        blocks = raw.reshape(rows, columns // GROUP, GROUP + 2)
        return blocks[..., 2:].copy().view(np.int8), blocks[..., :2].copy().view(np.float16)

    def _raw(self, tensor: Tensor) -> NDArray[np.uint8]:
        return self._data[tensor.start : tensor.start + tensor.size]


def dequantize(ffi: Any, api: Any, tensor: Tensor, raw: NDArray[np.uint8]) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Iterate over blocks of a tensor's rows as float32, each with the index of its first row."""
    rows, columns = tensor.shape
    if tensor.type == F32:
        yield 0, np.array(raw).view(np.float32).reshape(tensor.shape)
        return
    size = api.ggml_row_size(tensor.type, columns)
    to_float = api.ggml_get_type_traits(tensor.type).to_float
    if to_float == ffi.NULL:
        raise Unavailable(f"{tensor.name} is of type {tensor.type}, which cannot be converted to float32.")
    step = max(1, _BLOCK // columns)
    for first in range(0, rows, step):
        count = min(step, rows - first)
        part = np.array(raw[first * size : (first + count) * size])  # copied, so that it is aligned
        values = np.empty((count, columns), np.float32)
        to_float(ffi.cast("void *", part.ctypes.data), ffi.cast("float *", values.ctypes.data), values.size)
        yield first, values


def quantize(ffi: Any, api: Any, rows: NDArray[np.float32], kind: int, name: str) -> NDArray[np.uint8]:
    """Return rows of a tensor in another type. Raises Unavailable if ggml writes another size than it says."""
    columns = rows.shape[1]
    converted = np.empty(len(rows) * api.ggml_row_size(kind, columns), np.uint8)
    source, target = ffi.cast("float *", rows.ctypes.data), ffi.cast("void *", converted.ctypes.data)
    written = api.ggml_quantize_chunk(kind, source, target, 0, len(rows), columns, ffi.NULL)
    if written != converted.size:
        raise Unavailable(f"{name} was converted to {written} bytes instead of {converted.size}.")
    return converted


def check_functions(ffi: Any, api: Any, library: LlamaLibrary) -> None:
    """Check that a build has these functions, in the known struct layouts. Raises Unavailable."""
    missing = [name for name in dir(api) if not hasattr(api, name)]
    if missing:
        raise Unavailable(f"{library.path} cannot requantize weights: it does not export {', '.join(missing)}.")
    for kind, (name, block, size, is_quantized) in _KNOWN_TRAITS.items():
        traits = api.ggml_get_type_traits(kind)
        sizes = (traits.blck_size, traits.type_size)
        if (
            sizes != (block, size)
            or ffi.string(traits.type_name) != name.encode()
            or traits.is_quantized != is_quantized
        ):
            raise Unavailable(f"{library.path} describes the type {name} in an unknown struct layout: it was not used.")


@contextmanager
def open_gguf(ffi: Any, api: Any, source: Path) -> Iterator[Any]:
    """Open a file's header. Raises Unavailable if it is no GGUF."""
    header = api.gguf_init_from_file(os.fsencode(source), ffi.new("gguf_init_params *", {"no_alloc": True})[0])
    if header == ffi.NULL:
        raise Unavailable(f"{source.name} cannot be read as GGUF.")
    try:
        yield header
    finally:
        api.gguf_free(header)


def read_tensors(ffi: Any, api: Any, header: Any) -> list[Tensor]:
    """Return what a header says of its tensors."""
    tensors = []
    for index in range(api.gguf_get_n_tensors(header)):
        extents = ffi.unpack(api.gguf_get_tensor_ne(header, index), 4)
        tensors.append(
            Tensor(
                name=ffi.string(api.gguf_get_tensor_name(header, index)).decode(),
                type=api.gguf_get_tensor_type(header, index),
                shape=(extents[1] * extents[2] * extents[3], extents[0]),
                start=api.gguf_get_data_offset(header) + api.gguf_get_tensor_offset(header, index),
                size=api.gguf_get_tensor_size(header, index),
            )
        )
    return tensors
