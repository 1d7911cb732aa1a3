"""Shortens an Ogg file without decoding it: it ends after the page that completes the wanted samples.

The pages are those of RFC 3533. Knows nothing of Vorbis.
"""

import struct
from collections.abc import Iterator

_HEADER = "<4sBBqIIIB"
_HEADER_BYTES = struct.calcsize(_HEADER)


def shortened(ogg: bytes, samples: int) -> bytes:
    """Return the file's pages up to the one with which at least `samples` samples are complete."""
    kept = b""
    for granule, page in _pages(ogg):
        kept += page
        if granule >= samples:
            break
    return kept


def _pages(ogg: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield each page with its granule position: the samples that are complete at its end."""
    at = 0
    while at < len(ogg):
        magic, _, _, granule, _, _, _, n_segments = struct.unpack_from(_HEADER, ogg, at)
        if magic != b"OggS":
            raise ValueError(f"There is no Ogg page at byte {at}.")
        body = at + _HEADER_BYTES + n_segments
        end = body + sum(ogg[at + _HEADER_BYTES : body])
        yield granule, ogg[at:end]
        at = end
