"""The HTTP client to a running server, and the run file that finds it. Knows nothing of how a server works."""
