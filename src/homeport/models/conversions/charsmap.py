"""SentencePiece's precompiled character map: the replacements that a tokenizer makes before it splits text.

The format: the size of a trie in bytes, the trie as a double array of 32-bit units, then the replacements, each ended
by a zero byte. Units are those of darts-clone: a node has the byte that leads to it, whether a text ends there, and the
position of its children (index XOR offset XOR byte); the end of a text has the position of its replacement. Knows
nothing of models. Source: the reader in llama.cpp's src/llama-vocab.cpp (`xcda_array_view`).
"""

import struct
import sys
import unicodedata
from collections.abc import Mapping
from itertools import count

_END = 0  # the byte of the node that holds a value: no text contains it
_BLOCK = 256
_VALUE, _HAS_END, _LONG_OFFSET = 1 << 31, 1 << 8, 1 << 9
_NEAR_LIMIT = 1 << 21
_OPEN_BLOCKS = 4  # only the last blocks are searched for free units: the gaps in older ones are rarely usable


class _Node:
    """A node of the trie: its children, by byte, and the value of the text that ends here."""

    def __init__(self) -> None:
        self.children: dict[int, _Node] = {}
        self.value: int | None = None


def compile_charsmap(replacements: Mapping[str, str]) -> bytes:
    """Return the map's bytes, the same for the same replacements. Texts are not empty and contain no zero byte."""
    blob, offsets = bytearray(), dict[str, int]()
    root = _Node()
    for text in sorted(replacements):
        value = replacements[text]
        if value not in offsets:
            offsets[value] = len(blob)
            blob += value.encode() + b"\0"
        node = root
        for byte in text.encode():
            node = node.children.setdefault(byte, _Node())
        node.value = offsets[value]
    units = _DoubleArray().units(root)
    trie = struct.pack(f"<{len(units)}I", *units)
    return struct.pack("<I", len(trie)) + trie + bytes(blob)


def unicode_compositions() -> dict[str, str]:
    """Return every character that Unicode 3.2 composes of others, by its full decomposition.

    The table of that version is the same in every Python, and later versions do not change these compositions.
    """
    old = unicodedata.ucd_3_2_0
    pairs = ((old.normalize("NFD", whole), whole) for whole in map(chr, range(sys.maxunicode + 1)))
    return {parts: whole for parts, whole in pairs if parts != whole and old.normalize("NFC", parts) == whole}


class _DoubleArray:
    """Places the nodes of a trie in a double array."""

    def __init__(self) -> None:
        self._units: list[int | None] = [None] * _BLOCK
        self._bases: set[int] = set()
        self._first_free = 1

    def units(self, root: _Node) -> list[int]:
        """Return the array; its length is a multiple of 256, so that no byte leads out of it."""
        self._units[0] = 0
        waiting = [(root, 0)]
        while waiting:
            node, index = waiting.pop()
            ends = () if node.value is None else (_END,)
            base = self._place([*ends, *sorted(node.children)])
            self._units[index] = (self._units[index] or 0) | self._offset(index ^ base) | (_HAS_END if ends else 0)
            if node.value is not None:
                self._units[base ^ _END] = _VALUE | node.value
            for byte, child in node.children.items():
                self._units[base ^ byte] = byte
                waiting.append((child, base ^ byte))
        return [unit or 0 for unit in self._units]

    def _place(self, labels: list[int]) -> int:
        """Return a free base for all these bytes, and mark their units as used."""
        self._first_free = max(self._first_free, len(self._units) - _OPEN_BLOCKS * _BLOCK)
        while self._first_free < len(self._units) and self._units[self._first_free] is not None:
            self._first_free += 1
        for slot in count(self._first_free):
            if slot >= len(self._units):
                self._units += [None] * _BLOCK
            if self._units[slot] is not None:
                continue
            base = slot ^ labels[0]
            if base not in self._bases and all(self._units[base ^ label] is None for label in labels):
                break
        self._bases.add(base)
        for label in labels:
            self._units[base ^ label] = 0
        return base

    @staticmethod
    def _offset(offset: int) -> int:
        return offset << 10 if offset < _NEAR_LIMIT else offset << 2 | _LONG_OFFSET
