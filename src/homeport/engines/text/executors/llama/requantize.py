"""Requantizes a model's weights to another layout with ggml's own conversions. Knows nothing of a layout's use."""

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from homeport.domain.errors import InvalidRequest, Unavailable
from homeport.engines.llama.library import LlamaLibrary
from homeport.engines.text.executors.llama.gguf_tensors import (
    BF16,
    DECLARATIONS,
    F16,
    Q8_0,
    Tensor,
    check_functions,
    dequantize,
    open_gguf,
    quantize,
    read_tensors,
)

TYPES: Mapping[str, int] = MappingProxyType({"q8_0": Q8_0, "q4_0": 2, "bf16": BF16})
"""The layouts that can be written, each with ggml's type number."""

# By the first part of a name. Quantizing these costs the most quality.
_UNCHANGED_TENSORS = ("token_embd", "output", "per_layer_token_embd")


def requantize(library: LlamaLibrary, source: Path, target: Path, layout: str) -> int:
    """Write `source` as `target` with the weights of its blocks in `layout`; return how many tensors changed.

    Embeddings, output, norms and 8-bit tensors stay unchanged (`bf16` widens the latter).
    Raises InvalidRequest for an unknown layout, and Unavailable if these kernels or this file do not support it.
    """
    if layout not in TYPES:
        raise InvalidRequest(f"Unknown layout `{layout}`: use one of {', '.join(TYPES)}.")
    ffi, api = library.functions(DECLARATIONS)
    check_functions(ffi, api, library)
    with open_gguf(ffi, api, source) as header:
        tensors = read_tensors(ffi, api, header)
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
                    continue
                for _, rows in dequantize(ffi, api, tensor, raw):
                    file.write(quantize(ffi, api, rows, kind, tensor.name).data)
            file.write(b"\0" * (-file.tell() % api.gguf_get_alignment(header)))
    return len(changed)


def _target_type(api: Any, tensor: Tensor, kind: int) -> int:
    """Return the type a tensor gets. float32 tensors stay: quantizers keep them on purpose."""
    is_weight = api.ggml_get_type_traits(tensor.type).is_quantized or tensor.type in (F16, BF16)
    fits = tensor.shape[1] % api.ggml_get_type_traits(kind).blck_size == 0
    stays = tensor.name.split(".")[0] in _UNCHANGED_TENSORS or (tensor.type == Q8_0 and kind != BF16)
    return kind if is_weight and fits and not stays else tensor.type
