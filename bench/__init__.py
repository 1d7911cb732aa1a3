"""Benchmarks: each a script, each figure a ratio in one run."""
