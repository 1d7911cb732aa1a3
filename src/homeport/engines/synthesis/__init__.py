"""What speech and singing share: text to phonemes, the voices, and Kokoro, which makes audio of both."""
