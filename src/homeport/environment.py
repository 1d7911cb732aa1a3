"""The environment of the programs that this one starts: what each of them needs, and no secret beside it.

Workers, trainers and what asks native code run libraries over files from anywhere, and parse what callers send. Keys,
tokens and addresses with passwords in this process's environment are none of theirs.
"""

import os
import re
from collections.abc import Mapping

_NAMES = frozenset(
    ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "TMPDIR", "TEMP", "TMP", "LANG", "LANGUAGE", "TZ", "VIRTUAL_ENV")
)
_FAMILIES = (
    *("LC_", "XDG_", "PYTHON", "COVERAGE_", "COV_"),  # places, languages, the interpreter and who watches it
    *("LD_", "DYLD_", "MALLOC_", "GLIBC_", "MIMALLOC_", "__CF", "OBJC_"),  # loaders and libraries of the system
    *("OMP_", "GOMP_", "KMP_", "OPENBLAS_", "MKL_", "BLIS_", "VECLIB_", "NUMEXPR_"),  # threads
    *("GGML_", "LLAMA_", "ORT_", "CT2_", "TORCH_", "PYTORCH_", "TRITON_"),  # engines
    *("CUDA_", "NVIDIA_", "NCCL_", "VK_", "HIP_", "HSA_", "ROC", "GPU_", "AMD_", "MESA_", "LIBGL_", "DRI_"),  # GPUs
    *("MTL_", "METAL_", "SYCL_", "ONEAPI_", "ZE_", "__NV_", "__VK_", "__GLX_"),
)
_SECRET = re.compile(r"KEY|TOKEN|SECRET|PASS|CREDENTIAL|AUTH", re.IGNORECASE)
"""In a name, such as NVIDIA_API_KEY or LLAMA_CLOUD_API_KEY, whose family is one of these all the same."""


def needed(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """What a program of ours needs that computes: an allow list. `environ`: this process's by default."""
    environ = os.environ if environ is None else environ
    return {name: value for name, value in environ.items() if _is_needed(name)}


def without_settings(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """What a package tool needs, which has settings of its own, proxies among them: all but our settings."""
    environ = os.environ if environ is None else environ
    return {name: value for name, value in environ.items() if not name.upper().startswith("HOMEPORT_")}


def _is_needed(name: str) -> bool:
    return name in _NAMES or (name.startswith(_FAMILIES) and _SECRET.search(name) is None)
