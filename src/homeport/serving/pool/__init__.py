"""Which models are in memory, and their leases. Knows nothing of HTTP or what an engine computes."""
