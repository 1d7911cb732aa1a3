"""The interfaces between rooms. Knows nothing of who implements them."""
