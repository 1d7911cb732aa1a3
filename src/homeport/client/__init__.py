"""The HTTP client to a running server, and the run file that finds it. Knows nothing of what a server does."""
