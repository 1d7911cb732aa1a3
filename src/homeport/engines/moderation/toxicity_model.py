"""A small network trained on English discussions (tox-block: words, a bidirectional LSTM, six labels), in numpy.

Its six outputs are input to the head, together with a text's vector. It knows 20,000 English words only: without any of
them, its outputs are those of an empty text. Source: the package's own description and its file's configuration.
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
"""Words of a text that it reads: the last ones of a longer text, so texts are split into windows first."""

_UNITS = 50
# Keras' tokenizer: these, and white space, separate words.
_SEPARATORS = re.compile(r"[\s!\"#$%&()*+,\-./:;<=>?@\[\\\]^_`{|}~]+")
_MAX_HEADER_BYTES = 1 << 24


class ToxicityModel:
    """The network, loaded from a safetensors file. Raises Unavailable if it is not one of tox-block."""

    def __init__(self, file: Path) -> None:
        try:
            self._arrays, words = _read(file)
            self._numbers = {word: number for number, word in enumerate(words, 1) if word}
            if self._arrays["labels.kernel"].shape != (_UNITS, len(LABELS)):
                raise ValueError("labels")
        except (OSError, ValueError, KeyError, TypeError, struct.error) as error:
            raise Unavailable(f"{file.name} cannot be loaded as tox-block's network: {error}.") from error

    def judge(self, texts: Sequence[str]) -> Floats:
        """Return probabilities of `LABELS`, float32 (n, 6)."""
        rows = self._arrays["embeddings"][self._word_numbers(texts)]
        forward = self._lstm("forward", rows)
        backward = self._lstm("backward", rows[:, ::-1])
        states = np.concatenate([forward, backward], axis=1)
        dense = np.maximum(states @ self._arrays["dense.kernel"] + self._arrays["dense.bias"], 0)
        return _sigmoid(dense @ self._arrays["labels.kernel"] + self._arrays["labels.bias"])

    def _word_numbers(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """Return the numbers of the last hundred known words, padded with 0 in front."""
        ids = np.zeros((len(texts), LENGTH), np.int64)
        for row, text in zip(ids, texts, strict=True):
            words = [number for word in _SEPARATORS.split(text.lower()) if (number := self._numbers.get(word))]
            if words:
                row[-len(words[-LENGTH:]) :] = words[-LENGTH:]
        return ids

    def _lstm(self, side: str, rows: Floats) -> Floats:
        """Return the greatest value of each unit over all steps, float32 (n, 50)."""
        kernel, bias = self._arrays[f"{side}.kernel"], self._arrays[f"{side}.bias"]
        recurrent = self._arrays[f"{side}.recurrent"]
        inputs = rows @ kernel + bias
        state = np.zeros((len(rows), _UNITS), np.float32)
        memory = np.zeros_like(state)
        greatest = np.full_like(state, -np.inf)
        for step in range(LENGTH):
            gates = inputs[:, step] + state @ recurrent
            input_gate, forget_gate, candidate, output_gate = np.split(gates, 4, axis=1)
            memory = _hard_sigmoid(forget_gate) * memory + _hard_sigmoid(input_gate) * np.tanh(candidate)
            state = _hard_sigmoid(output_gate) * np.tanh(memory)
            np.maximum(greatest, state, out=greatest)
        return greatest


def _hard_sigmoid(values: Floats) -> Floats:
    """Return Keras' hard sigmoid."""
    return np.asarray(np.clip(np.float32(0.2) * values + np.float32(0.5), 0, 1), np.float32)


def _sigmoid(values: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-values)), np.float32)


def _read(file: Path) -> tuple[Mapping[str, Floats], Sequence[str]]:
    """Return the arrays and words of a safetensors file. Raises ValueError if it is not one."""
    data = file.read_bytes()
    (size,) = struct.unpack_from("<Q", data)
    if size > min(_MAX_HEADER_BYTES, len(data) - 8):
        raise ValueError("it is not a safetensors file")
    header = json.loads(data[8 : 8 + size])
    words = header.pop("__metadata__")["words"].split("\n")
    arrays = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        arrays[name] = np.frombuffer(data[8 + size + begin : 8 + size + end], "<f4").reshape(entry["shape"])
    return arrays, words
