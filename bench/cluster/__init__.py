"""Benchmarks of the cluster: what the link costs, whether replicas add up, and what failures cost callers."""
