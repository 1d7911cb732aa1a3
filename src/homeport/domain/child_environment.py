"""The environment variables that child processes inherit: those they need, and no secrets.

Workers, trainers and programs that query native code run libraries on files from anywhere and parse callers' input.
They must not have the keys, tokens and addresses with passwords in this process's environment.
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


def child_environment(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """The allowed variables for a child process that computes. `environ`: this process's by default."""
    environ = os.environ if environ is None else environ
    return {name: value for name, value in environ.items() if _is_needed(name)}


def environment_without_settings(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """All variables but Homeport's settings, for package tools: their proxies and options are variables too."""
    environ = os.environ if environ is None else environ
    return {name: value for name, value in environ.items() if not name.upper().startswith("HOMEPORT_")}


def _is_needed(name: str) -> bool:
    return name in _NAMES or (name.startswith(_FAMILIES) and _SECRET.search(name) is None)
