"""Speech: text read into phonemes, phonemes sung by Kokoro, sound encoded while the rest is still computed."""
