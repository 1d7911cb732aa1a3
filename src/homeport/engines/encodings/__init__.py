"""OpenAI's public token encodings, for decoding only: the ids that clients send under an OpenAI model's name.

Only id to bytes: text is never encoded with them, so no merge rules are needed. Knows nothing of models. The tables
next to this file are written by `scripts/encodings.py`, which names their source and compares them with OpenAI's own
checksums.
"""

import lzma
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from itertools import accumulate

from homeport.domain.errors import InvalidRequest

END_OF_TEXT = "<|endoftext|>"

# Special tokens by encoding. Source: the tiktoken package's list of public encodings.
_SPECIAL: Mapping[str, Mapping[int, str]] = {
    "r50k_base": {50256: END_OF_TEXT},
    "p50k_base": {50256: END_OF_TEXT},
    "p50k_edit": {50256: END_OF_TEXT, 50281: "<|fim_prefix|>", 50282: "<|fim_middle|>", 50283: "<|fim_suffix|>"},
    "cl100k_base": {
        100257: END_OF_TEXT,
        100258: "<|fim_prefix|>",
        100259: "<|fim_middle|>",
        100260: "<|fim_suffix|>",
        100276: "<|endofprompt|>",
    },
    "o200k_base": {199999: END_OF_TEXT, 200018: "<|endofprompt|>"},
}
# r50k is a prefix of p50k, and p50k_edit is p50k with more special tokens.
_TABLES = {
    "r50k_base": ("p50k_base", 50256),
    "p50k_base": ("p50k_base", 50281),
    "p50k_edit": ("p50k_base", 50281),
    "cl100k_base": ("cl100k_base", 100256),
    "o200k_base": ("o200k_base", 199998),
}
NAMES = tuple(_TABLES)


class Encoding:
    """One encoding: `name`, the ids of its `special` tokens, and the bytes of all others."""

    def __init__(self, name: str, special: Mapping[int, str], lengths: bytes, data: bytes) -> None:
        self.name = name
        self.special = special
        self._starts = list(accumulate(lengths, initial=0))
        self._data = data

    def token(self, id: int) -> bytes:
        """Return an ordinary token's bytes. Raises InvalidRequest if the encoding has no such ordinary token."""
        if 0 <= id < len(self._starts) - 1:
            data = self._data[self._starts[id] : self._starts[id + 1]]
            if data:
                return data
        problem = f"is the special token {self.special[id]}" if id in self.special else "does not exist"
        raise InvalidRequest(f"Token {id} {problem} in the encoding {self.name} of this model name.")


@cache
def load(name: str) -> Encoding:
    """Return an encoding by OpenAI's name; it is read on first use and cached. Raises KeyError if it is unknown."""
    table, size = _TABLES[name]
    raw = lzma.decompress(files(__name__).joinpath(f"{table}.xz").read_bytes())
    count = int.from_bytes(raw[:4], "little")
    return Encoding(name, _SPECIAL[name], raw[4 : 4 + min(count, size)], raw[4 + count :])
