"""The speech engine: text to phonemes, phonemes to audio with Kokoro, encoded while the rest is still computed."""
