"""English as phonemes of Kokoro's alphabet, through the `hibari` phonemizer. Knows nothing of sentences or models.

The phonemizer reads numbers, dates, money, units and abbreviations, tells homographs apart by their part of speech,
and guesses words it does not know. It works offline, from its own data.
"""

import re

from hibari.g2p import G2P

_LINK = re.compile(r"\]\(")
_LOUD_PLAIN = re.compile(r"[*_`~#|\\^]+")


class English:
    """Both accents, each loaded when it is first needed (about 1 s and 140 MB)."""

    def __init__(self) -> None:
        self._readers: dict[bool, G2P] = {}

    def phonemes(self, text: str, *, is_british: bool) -> str:
        """Text of one sentence or less as phonemes, its punctuation kept."""
        reader = self._readers.get(is_british)
        if reader is None:
            reader = self._readers[is_british] = G2P(british=is_british)
        # `[a](/b/)` would be the phonemizer's own syntax, in which a caller could write phonemes.
        return str(reader(_LINK.sub("] (", _LOUD_PLAIN.sub(" ", text))))
