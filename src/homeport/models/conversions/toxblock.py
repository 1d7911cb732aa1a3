"""Converts the two files of the tox-block package, concatenated, to one safetensors file: the network and its words.

The first is HDF5 whose arrays are contiguous; their offsets are known, because the file never changes (its hash is in
the catalogue). The second is a pickle of a Keras tokenizer: it is read without executing any of it, and only its list
of words is kept. Output format: https://huggingface.co/docs/safetensors, format.
"""

import io
import pickle
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from homeport.domain.errors import Unavailable

WORDS = 20000
"""The number of words that the network knows; number 0 is not a word."""

_NETWORK_BYTES = 12_591_448
_MAGIC = b"\x89HDF\r\n\x1a\n"
# Of the file's `model_weights`: the name used here, the array's shape, its first byte. Found with h5py.
_ARRAYS = (
    ("embeddings", (WORDS, 50), 10280),
    ("forward.kernel", (50, 200), 4014040),
    ("forward.recurrent", (50, 200), 4056088),
    ("forward.bias", (200,), 4096088),
    ("backward.kernel", (50, 200), 4096888),
    ("backward.recurrent", (50, 200), 4138936),
    ("backward.bias", (200,), 4178936),
    ("dense.kernel", (100, 50), 4183032),
    ("dense.bias", (50,), 4179736),
    ("labels.kernel", (50, 6), 4206304),
    ("labels.bias", (6,), 4179936),
)
_FLOAT_BYTES = 4


def convert(source: Path, target: Path) -> None:
    """Write the safetensors file. Raises Unavailable if the source is not the expected file."""
    data = source.read_bytes()
    if not data.startswith(_MAGIC) or len(data) <= _NETWORK_BYTES:
        raise Unavailable(f"{source.name} is not the network and word list of tox-block 0.1.2.")
    header: dict[str, object] = {"__metadata__": {"words": "\n".join(_words(data[_NETWORK_BYTES:]))}}
    pieces: list[bytes] = []
    offset = 0
    for name, shape, begin in _ARRAYS:
        size = _FLOAT_BYTES * shape[0] * (shape[1] if len(shape) > 1 else 1)
        pieces.append(data[begin : begin + size])
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": (offset, offset + size)}
        offset += size
    head = msgspec.json.encode(header)
    head += b" " * (-len(head) % 8)
    target.write_bytes(b"".join((struct.pack("<Q", len(head)), head, *pieces)))


class _Inert:
    """Replaces every class of the pickle: accepts everything and does nothing."""

    def __init__(self, *_: object) -> None:
        self.state: Mapping[str, Any] = {}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.state = state

    def __setitem__(self, key: object, value: object) -> None:
        pass  # the pickle fills counters, which are not needed


class _InertUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Callable[..., object]:  # noqa: ARG002 - pickle's signature
        """Return the inert replacement, whatever is requested."""
        return _Inert


def _words(pickled: bytes) -> list[str]:
    """Return the words by number, from 1; a word that does not fit on a line is left empty."""
    try:
        tokenizer = _InertUnpickler(io.BytesIO(pickled)).load().state["tokenizer"]
        numbers: Mapping[str, int] = tokenizer.state["word_index"]
        words = [""] * (WORDS - 1)
        for word, number in numbers.items():
            if number < WORDS and "\n" not in word:
                words[number - 1] = word
    except (pickle.UnpicklingError, AttributeError, KeyError, TypeError, EOFError) as error:
        raise Unavailable("The words of tox-block 0.1.2 cannot be read.") from error
    return words
