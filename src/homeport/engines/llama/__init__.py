"""llama.cpp through its C API, called with CFFI and no compiler: what every engine that runs GGUF files shares.

`declarations` (what we call), `library` (which kernels), `log` and `model` (a loaded file). Knows nothing of requests.
"""
