"""The llama.cpp executor: its C API called through CFFI, with no compiler.

`declarations` (what we call), `library` (which kernels), `log`, `vocabulary`, `memory` (how many cells) and
`executor` (the seam). Knows nothing of requests, scheduling or sampling.
"""
