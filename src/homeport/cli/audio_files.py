"""Audio files that commands write: formats by suffix, and the header of a WAV file. Knows no command."""

import struct
from typing import BinaryIO

from homeport.domain.speech import AUDIO_FORMATS

FORMATS_BY_SUFFIX = {**{f".{each}": each for each in AUDIO_FORMATS}, ".ogg": "opus"}
_WAV_HEADER_BYTES = 44  # of a WAV file as the server sends it


def write_wav_sizes(target: BinaryIO) -> None:
    """Write the sizes into the header, which the server does not know when it starts to stream."""
    size = target.tell()
    for at, following in ((4, size - 8), (_WAV_HEADER_BYTES - 4, size - _WAV_HEADER_BYTES)):
        target.seek(at)
        target.write(struct.pack("<I", following))
