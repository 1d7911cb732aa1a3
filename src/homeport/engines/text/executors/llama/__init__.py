"""The llama.cpp executor: text generation on top of `homeport.engines.llama`.

`vocabulary`, `memory` (how many cells), `context`, `lanes` and `executor` (the seam). Knows nothing of requests,
scheduling or sampling.
"""
