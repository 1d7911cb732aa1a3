"""Requantizes a model's weights to another layout with ggml's own conversions.

`llama_model_quantize` is not used: the wheel does not export it, and its parameters are another struct that differs by
build. ggml's functions for single tensors are in every known build.
Knows nothing of a layout's use. Source: ggml/include/gguf.h, ggml.h (builds 11413 to 11739).
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from homeport.domain.errors import InvalidRequest, Unavailable
from homeport.engines.llama.library import LlamaLibrary

_F32, _F16, _Q8_0, _BF16 = 0, 1, 8, 30
TYPES: Mapping[str, int] = MappingProxyType({"q8_0": _Q8_0, "q4_0": 2, "bf16": _BF16})
"""The layouts that can be written, each with ggml's type number."""

_DECLARATIONS = """
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
# By the first part of a name. Quantizing these costs the most quality.
_UNCHANGED_TENSORS = ("token_embd", "output", "per_layer_token_embd")
_BLOCK = 1 << 22  # weights converted at a time: 16 MB as floats


class _Tensor(msgspec.Struct, frozen=True):
    name: str
    type: int
    shape: tuple[int, int]
    start: int
    size: int


def requantize(library: LlamaLibrary, source: Path, target: Path, layout: str) -> int:
    """Write `source` as `target` with the weights of its blocks in `layout`; return how many tensors changed.

    Embeddings, output, norms and 8-bit tensors stay unchanged (`bf16` widens the latter).
    Raises InvalidRequest for an unknown layout, and Unavailable if these kernels or this file do not support it.
    """
    if layout not in TYPES:
        raise InvalidRequest(f"Unknown layout `{layout}`: use one of {', '.join(TYPES)}.")
    ffi, api = library.functions(_DECLARATIONS)
    _check(ffi, api, library)
    with _open_gguf(ffi, api, source) as header:
        tensors = _tensors(ffi, api, header)
        wanted = [_target_type(api, tensor, TYPES[layout]) for tensor in tensors]
        changed = [tensor for tensor, kind in zip(tensors, wanted, strict=True) if kind != tensor.type]
        for tensor in changed:
            api.gguf_set_tensor_type(header, tensor.name.encode(), TYPES[layout])
        if not api.gguf_write_to_file(header, os.fsencode(target), True):
            raise Unavailable(f"{target} cannot be written.")
        data = np.memmap(source, np.uint8, "r")
        with target.open("r+b") as file:
            for index, (tensor, kind) in enumerate(zip(tensors, wanted, strict=True)):
                file.seek(api.gguf_get_data_offset(header) + api.gguf_get_tensor_offset(header, index))
                raw = data[tensor.start : tensor.start + tensor.size]
                if kind == tensor.type:
                    file.write(raw.data)
                else:
                    file.writelines(_convert_tensor(ffi, api, tensor, raw, kind))
            file.write(b"\0" * (-file.tell() % api.gguf_get_alignment(header)))
    return len(changed)


def count(library: LlamaLibrary, source: Path) -> int:
    """Return the number of weights in all tensors of a file."""
    ffi, api = library.functions(_DECLARATIONS)
    with _open_gguf(ffi, api, source) as header:
        return sum(tensor.shape[0] * tensor.shape[1] for tensor in _tensors(ffi, api, header))


def floats(library: LlamaLibrary, source: Path) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Iterate over the tensors of a file, each with its name, as float32 rows (a vector is one row).

    Raises Unavailable if these kernels or this file do not support it.
    """
    ffi, api = library.functions(_DECLARATIONS)
    _check(ffi, api, library)
    with _open_gguf(ffi, api, source) as header:
        tensors = _tensors(ffi, api, header)
    data = np.memmap(source, np.uint8, "r")
    for tensor in tensors:
        raw = data[tensor.start : tensor.start + tensor.size]
        values = np.empty(tensor.shape, np.float32)
        if tensor.type == _F32:
            values[:] = np.array(raw).view(np.float32).reshape(tensor.shape)
        else:
            rows = _dequantize(ffi, api, tensor, raw)
            for first, part in rows:
                values[first : first + len(part)] = part
        yield tensor.name, values


def _dequantize(
    ffi: Any, api: Any, tensor: _Tensor, raw: NDArray[np.uint8]
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Iterate over blocks of a tensor's rows as float32, each with the index of its first row."""
    rows, columns = tensor.shape
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


def _check(ffi: Any, api: Any, library: LlamaLibrary) -> None:
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
def _open_gguf(ffi: Any, api: Any, source: Path) -> Iterator[Any]:
    header = api.gguf_init_from_file(os.fsencode(source), ffi.new("gguf_init_params *", {"no_alloc": True})[0])
    if header == ffi.NULL:
        raise Unavailable(f"{source.name} cannot be read as GGUF.")
    try:
        yield header
    finally:
        api.gguf_free(header)


def _tensors(ffi: Any, api: Any, header: Any) -> list[_Tensor]:
    tensors = []
    for index in range(api.gguf_get_n_tensors(header)):
        extents = ffi.unpack(api.gguf_get_tensor_ne(header, index), 4)
        tensors.append(
            _Tensor(
                name=ffi.string(api.gguf_get_tensor_name(header, index)).decode(),
                type=api.gguf_get_tensor_type(header, index),
                shape=(extents[1] * extents[2] * extents[3], extents[0]),
                start=api.gguf_get_data_offset(header) + api.gguf_get_tensor_offset(header, index),
                size=api.gguf_get_tensor_size(header, index),
            )
        )
    return tensors


def _target_type(api: Any, tensor: _Tensor, kind: int) -> int:
    """Return the type a tensor gets. float32 tensors stay: quantizers keep them on purpose."""
    is_weight = api.ggml_get_type_traits(tensor.type).is_quantized or tensor.type in (_F16, _BF16)
    fits = tensor.shape[1] % api.ggml_get_type_traits(kind).blck_size == 0
    stays = tensor.name.split(".")[0] in _UNCHANGED_TENSORS or (tensor.type == _Q8_0 and kind != _BF16)
    return kind if is_weight and fits and not stays else tensor.type


def _convert_tensor(ffi: Any, api: Any, tensor: _Tensor, raw: NDArray[np.uint8], kind: int) -> Iterator[memoryview]:
    """Iterate over the tensor's bytes in another type, some rows at a time."""
    columns = tensor.shape[1]
    row_bytes = api.ggml_row_size(kind, columns)
    for _, rows in _dequantize(ffi, api, tensor, raw):
        converted = np.empty(len(rows) * row_bytes, np.uint8)
        source, target = ffi.cast("float *", rows.ctypes.data), ffi.cast("void *", converted.ctypes.data)
        written = api.ggml_quantize_chunk(kind, source, target, 0, len(rows), columns, ffi.NULL)
        if written != converted.size:
            raise Unavailable(f"{tensor.name} was converted to {written} bytes instead of {converted.size}.")
        yield converted.data
