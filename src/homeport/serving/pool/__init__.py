"""Which models are in memory, and who uses them. Knows nothing of HTTP or what an engine computes."""
