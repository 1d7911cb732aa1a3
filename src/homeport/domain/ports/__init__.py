"""The interfaces between rooms. Knows nothing of their implementations."""
