"""The speech engine: a text to encoded audio, chunk by chunk, while the rest is still computed."""
