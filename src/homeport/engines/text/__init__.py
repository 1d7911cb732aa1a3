"""The text engine: continuous batching over an executor. Knows nothing of HTTP, processes or model names."""
