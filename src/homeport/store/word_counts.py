"""How often each word of a text occurs, packed for a search by words. Knows nothing of databases."""

import struct
import zlib
from collections import Counter
from functools import lru_cache

from homeport.domain.words import words_of

_MAX_COUNT = 65_535
ENTRY_BYTES = 6
"""Of a packed word: 4 for its hash, 2 for its count."""


def hashes_of(text: str) -> set[int]:
    """Return the hashes of the words of a query."""
    return {_hash(word) for word in words_of(text)}


def pack(text: str) -> bytes:
    """Return how often each word of a text occurs: all hashes in ascending order, then their counts."""
    counts = Counter(map(_hash, words_of(text)))
    hashes = sorted(counts)
    n = len(hashes)
    return struct.pack(f"<{n}I{n}H", *hashes, *(min(counts[each], _MAX_COUNT) for each in hashes))


@lru_cache(maxsize=100_000)
def _hash(word: str) -> int:
    """Return 32 bits: two of a store's words seldom share them, and then only a ranking is a little off."""
    return zlib.crc32(word.encode("utf-8", "surrogatepass"))
