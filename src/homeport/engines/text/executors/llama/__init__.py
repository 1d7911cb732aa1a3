"""The llama.cpp executor: text generation on top of `homeport.engines.llama`.

`executor` implements the interface with `context`, `kv_streams`, `kv_sizing` (how many cells) and `vocabulary`. Knows
nothing of requests, scheduling or sampling.
"""
