"""`/v1/conversations`: items that responses add to and continue from."""
