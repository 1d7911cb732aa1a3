"""How the recorded instruments of the music engine are extracted from a sound font."""
