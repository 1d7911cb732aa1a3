"""The environment variables that child processes inherit: those they need, how their threads wait, and no secrets.

Workers, trainers and programs that query native code run libraries on files from anywhere and parse callers' input.
They must not have the keys, tokens and addresses with passwords in this process's environment.
"""

import os
import re
from collections.abc import Collection, Mapping

_NAMES = frozenset(
    ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "TMPDIR", "TEMP", "TMP", "LANG", "LANGUAGE", "TZ", "VIRTUAL_ENV")
)
_FAMILIES = (
    *("LC_", "XDG_", "PYTHON", "COVERAGE_", "COV_"),  # locale, folders, the interpreter, coverage
    *("LD_", "DYLD_", "MALLOC_", "GLIBC_", "MIMALLOC_", "__CF", "OBJC_"),  # system loaders and libraries
    *("OMP_", "GOMP_", "KMP_", "OPENBLAS_", "MKL_", "BLIS_", "VECLIB_", "NUMEXPR_"),  # threads
    *("GGML_", "LLAMA_", "ORT_", "CT2_", "TORCH_", "PYTORCH_", "TRITON_"),  # engines
    *("CUDA_", "NVIDIA_", "NCCL_", "VK_", "HIP_", "HSA_", "ROC", "GPU_", "AMD_", "MESA_", "LIBGL_", "DRI_"),  # GPUs
    *("MTL_", "METAL_", "SYCL_", "ONEAPI_", "ZE_", "__NV_", "__VK_", "__GLX_"),
)
_SPIN_COUNT = "1000"  # some microseconds: more than a step's threads wait, less than a time slice of the system
_BLAS_THREADS = "OPENBLAS_NUM_THREADS"
_SECRET = re.compile(r"KEY|TOKEN|SECRET|PASS|CREDENTIAL|AUTH", re.IGNORECASE)
"""Excludes a variable although its family is allowed, such as NVIDIA_API_KEY or LLAMA_CLOUD_API_KEY."""


def child_environment(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the allowed variables for a child process that computes. `environ`: by default that of this process."""
    environ = os.environ if environ is None else environ
    return {name: value for name, value in environ.items() if _is_needed(name)}


def environment_without_settings(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return all variables except Homeport's settings, for package tools, which read proxies and options from them."""
    environ = os.environ if environ is None else environ
    return {name: value for name, value in environ.items() if not name.upper().startswith("HOMEPORT_")}


def limit_thread_spinning() -> None:
    """Make threads that wait yield the CPU to those that compute, in this process and in its children.

    GNU OpenMP's threads wait by spinning, about 300,000 turns by default. If two programs compute on the same cores,
    each spins on the core that the other's thread waits for. OpenBLAS' threads spin for 20 ms after each product; numpy
    computes only small products here and gets one thread, if it is not imported yet. Values that the operator has set
    are kept.
    """
    os.environ.setdefault(_BLAS_THREADS, "1")
    if not os.environ.keys() & {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"}:
        os.environ["GOMP_SPINCOUNT"] = _SPIN_COUNT


def environment_without(names: Collection[str], environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return all variables except some, for a program that reads its settings from them."""
    environ = os.environ if environ is None else environ
    return {name: value for name, value in environ.items() if name not in names}


def set_variables(values: Mapping[str, str]) -> None:
    """Set variables of this process, for a library that reads its options from them only."""
    os.environ.update(values)


def low_priority_environment() -> dict[str, str]:
    """The allowed variables for a child process that computes next to others: its OpenMP threads never spin.

    It computes matrix products, on some platforms with OpenBLAS, so it chooses itself how many threads these take.
    """
    inherited = {name: value for name, value in child_environment().items() if name != _BLAS_THREADS}
    return {**inherited, "GOMP_SPINCOUNT": "0"}


def _is_needed(name: str) -> bool:
    return name in _NAMES or (name.startswith(_FAMILIES) and _SECRET.search(name) is None)
