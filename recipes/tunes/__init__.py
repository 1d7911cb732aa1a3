"""Trains and measures homeport-tunes: melodies of old dance tunes and songs. See README.md."""
