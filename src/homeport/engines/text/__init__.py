"""The text engine: continuous batching on an executor. Knows nothing of HTTP, processes or model names."""
