"""llama.cpp through its C API, called with CFFI and no compiler; shared by all engines that run GGUF files.

`c_api` (declarations), `library` (kernels), `log`, `model` (a loaded file), `encoder` (embeddings), `threadpool`. Knows
nothing of requests.
"""
