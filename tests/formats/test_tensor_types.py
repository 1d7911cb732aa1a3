"""The sizes of tensors, compared with the kernels that read them."""

from typing import Any

import cffi

from homeport.engines.llama.library import kernels
from homeport.formats import tensor_types


def test_sizes_are_the_kernels_own() -> None:
    """Every listed type has ggml's block size and bytes."""
    ffi = cffi.FFI()
    ffi.cdef("size_t ggml_type_size(int type); int64_t ggml_blck_size(int type);")
    ggml: Any = ffi.dlopen(str(kernels(None).path))
    for kind, sizes in tensor_types.BLOCKS.items():
        assert (ggml.ggml_blck_size(kind), ggml.ggml_type_size(kind)) == sizes, kind


def test_a_tensor_takes_its_blocks() -> None:
    """Whole blocks of values; 0 for an unknown type."""
    assert tensor_types.size_bytes(8, (64, 10)) == 64 * 10 // 32 * 34
    assert tensor_types.size_bytes(0, ()) == 4
    assert tensor_types.size_bytes(999, (64,)) == 0
