"""Detects an audio file's format by its first bytes, as a player does. Written from the formats' definitions."""


def sniff(data: bytes) -> str:
    """Return the format's name in the speech endpoint; raw samples have no mark, so anything else is `pcm`."""
    if data[:4] == b"OggS" and data[28:36] == b"OpusHead":
        return "opus"
    if data[:4] == b"fLaC":
        return "flac"
    if data[:4] == b"RIFF" and data[8:12] == b"WAVE":
        return "wav"
    if data[0] == 0xFF and data[1] & 0xF6 == 0xF0:  # ADTS: twelve bits set, layer 0
        return "aac"
    if data[0] == 0xFF and data[1] & 0xE6 == 0xE2:  # MPEG: eleven bits set, layer III
        return "mp3"
    return "pcm"
