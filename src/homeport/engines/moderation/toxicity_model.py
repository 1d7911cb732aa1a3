"""A small network that has read English discussions (tox-block: words, a bidirectional LSTM, six labels) in numpy.

Its six answers are input to the head beside a text's vector. It knows 20,000 English words and nothing else: of a text
without any it says what it says of no text. Source: the package's own description and its file's configuration.
"""

import json
import re
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from homeport.domain.errors import Unavailable

Floats = NDArray[np.float32]

LABELS = ("toxic", "severe_toxic", "obscene", "threat", "insult", "identity_hate")
LENGTH = 100
"""The words of a text that it reads: the last ones of longer texts, so texts are cut into windows before."""

_UNITS = 50
# Keras' tokeniser: these, and white space, stand between words.
_SEPARATORS = re.compile(r"[\s!\"#$%&()*+,\-./:;<=>?@\[\\\]^_`{|}~]+")
_MAX_HEADER_BYTES = 1 << 24


class ToxicityModel:
    """The network, loaded from a safetensors file. Raises Unavailable where it is not one of tox-block's."""

    def __init__(self, file: Path) -> None:
        try:
            self._arrays, words = _read(file)
            self._numbers = {word: number for number, word in enumerate(words, 1) if word}
            if self._arrays["labels.kernel"].shape != (_UNITS, len(LABELS)):
                raise ValueError("labels")
        except (OSError, ValueError, KeyError, TypeError, struct.error) as error:
            raise Unavailable(f"{file.name} does not load as the network of tox-block: {error}.") from error

    def judge(self, texts: Sequence[str]) -> Floats:
        """Probabilities of `LABELS`, float32 (n, 6)."""
        rows = self._arrays["embeddings"][self._read(texts)]
        forward = self._lstm("forward", rows)
        backward = self._lstm("backward", rows[:, ::-1])
        found = np.concatenate([forward, backward], axis=1)
        dense = np.maximum(found @ self._arrays["dense.kernel"] + self._arrays["dense.bias"], 0)
        return _sigmoid(dense @ self._arrays["labels.kernel"] + self._arrays["labels.bias"])

    def _read(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """The numbers of known words, the last hundred, 0 in front of fewer."""
        ids = np.zeros((len(texts), LENGTH), np.int64)
        for row, text in zip(ids, texts, strict=True):
            words = [number for word in _SEPARATORS.split(text.lower()) if (number := self._numbers.get(word))]
            if words:
                row[-len(words[-LENGTH:]) :] = words[-LENGTH:]
        return ids

    def _lstm(self, side: str, rows: Floats) -> Floats:
        """The greatest value that each unit ever had, float32 (n, 50)."""
        kernel, bias = self._arrays[f"{side}.kernel"], self._arrays[f"{side}.bias"]
        recurrent = self._arrays[f"{side}.recurrent"]
        inputs = rows @ kernel + bias
        state = np.zeros((len(rows), _UNITS), np.float32)
        memory = np.zeros_like(state)
        greatest = np.full_like(state, -np.inf)
        for step in range(LENGTH):
            gates = inputs[:, step] + state @ recurrent
            take, keep, new, give = np.split(gates, 4, axis=1)
            memory = _hard(keep) * memory + _hard(take) * np.tanh(new)
            state = _hard(give) * np.tanh(memory)
            np.maximum(greatest, state, out=greatest)
        return greatest


def _hard(values: Floats) -> Floats:
    """Keras' hard sigmoid."""
    return np.asarray(np.clip(np.float32(0.2) * values + np.float32(0.5), 0, 1), np.float32)


def _sigmoid(values: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-values)), np.float32)


def _read(file: Path) -> tuple[Mapping[str, Floats], Sequence[str]]:
    """The arrays and the words of a safetensors file. Raises ValueError where it is none."""
    data = file.read_bytes()
    (size,) = struct.unpack_from("<Q", data)
    if size > min(_MAX_HEADER_BYTES, len(data) - 8):
        raise ValueError("it is no safetensors file")
    header = json.loads(data[8 : 8 + size])
    words = header.pop("__metadata__")["words"].split("\n")
    arrays = {}
    for name, about in header.items():
        begin, end = about["data_offsets"]
        arrays[name] = np.frombuffer(data[8 + size + begin : 8 + size + end], "<f4").reshape(about["shape"])
    return arrays, words
