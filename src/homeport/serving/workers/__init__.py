"""Worker processes: start, link, heartbeat, restart. Knows nothing of HTTP or what an engine computes."""
