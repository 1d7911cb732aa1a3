"""The shape of an embeddings answer, put together as vectors come in. Knows nothing of requests."""

import base64
import sys
from array import array
from collections.abc import Sequence

import msgspec

from homeport.api import accounting
from homeport.domain.events import (
    Done,
    EmbeddingVectors,
    Event,
    Usage,
)

_FLOAT = 4


class Embedding(msgspec.Struct, kw_only=True):
    """One vector, as JSON already: an array of numbers, or base64 of little-endian 32-bit floats."""

    object: str = "embedding"
    index: int
    embedding: msgspec.Raw


class EmbeddingUsage(msgspec.Struct):
    """Tokens of all inputs, as the model read them."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingList(msgspec.Struct, kw_only=True):
    """The whole answer."""

    object: str = "list"
    data: list[Embedding]
    model: str
    usage: EmbeddingUsage


class EmbeddingCollector:
    """The vectors of one answer. Numbers are written as the double nearest to each float, so they come back whole."""

    def __init__(self, *, is_base64: bool) -> None:
        self._is_base64 = is_base64
        self._data: list[Embedding] = []

    def add(self, events: Sequence[Event]) -> None:
        """Take what has just arrived."""
        for event in events:
            if isinstance(event, EmbeddingVectors):
                size = event.dimensions * _FLOAT
                rows = (event.data[start : start + size] for start in range(0, event.count * size, size))
                self._data += [
                    Embedding(index=event.index + at, embedding=self._render_vector(row)) for at, row in enumerate(rows)
                ]

    def answer(self, model: str, usage: Usage) -> EmbeddingList:
        """The answer, inputs in their order. `model`: the name that was asked for."""
        data = sorted(self._data, key=lambda each: each.index)
        return EmbeddingList(data=data, model=model, usage=EmbeddingUsage(usage.prompt_tokens, usage.prompt_tokens))

    def _render_vector(self, row: bytes) -> msgspec.Raw:
        if self._is_base64:
            return msgspec.Raw(b'"' + base64.b64encode(row) + b'"')
        numbers = array("f", row)
        if sys.byteorder == "big":
            numbers.byteswap()
        return msgspec.Raw(msgspec.json.encode(numbers.tolist()))


class EmbeddingUsageCounter(accounting.UsageCounter):
    """Counts an answer as one choice that came to its end."""

    def count(self, events: Sequence[Event]) -> None:
        """Look through what has just arrived."""
        super().count(events)
        if any(isinstance(event, Done) for event in events):
            self.meter.on_finished("stop")
