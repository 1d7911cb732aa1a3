"""Executors, which turn token batches into logits: `llama` runs llama.cpp."""
