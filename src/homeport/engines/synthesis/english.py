"""English as phonemes of Kokoro's alphabet, with the `hibari` phonemizer. Knows nothing of sentences or models.

The phonemizer handles numbers, dates, money, units and abbreviations, distinguishes homographs by their part of speech,
and predicts unknown words. It works offline, from its own data.
"""

import re

from hibari.g2p import G2P

_LINK = re.compile(r"\]\(")
_MARKUP = re.compile(r"[*_`~#|\\^]+")


class English:
    """Both accents, each loaded when it is first needed (about 1 s and 140 MB)."""

    def __init__(self) -> None:
        self._phonemizers: dict[bool, G2P] = {}

    def phonemes(self, text: str, *, is_british: bool) -> str:
        """Return the phonemes of at most one sentence, with its punctuation."""
        phonemizer = self._phonemizers.get(is_british)
        if phonemizer is None:
            phonemizer = self._phonemizers[is_british] = G2P(british=is_british)
        # `[a](/b/)` is the phonemizer's own syntax, in which a caller could write phonemes.
        return str(phonemizer(_LINK.sub("] (", _MARKUP.sub(" ", text))))
