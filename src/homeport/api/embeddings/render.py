"""The JSON of embeddings, rendered while the vectors arrive. Knows nothing of requests."""

import base64
import sys
from array import array
from collections.abc import Sequence

import msgspec

from homeport.api import json_codec
from homeport.api.writer import CollectingWriter
from homeport.domain.events import EmbeddingVectors, Event

_FLOAT_BYTES = 4


class Embedding(msgspec.Struct, kw_only=True):
    """One vector as encoded JSON: an array of numbers, or base64 of little-endian 32-bit floats."""

    object: str = "embedding"
    index: int
    embedding: msgspec.Raw


class EmbeddingUsage(msgspec.Struct):
    """Tokens of all inputs."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingList(msgspec.Struct, kw_only=True):
    """The response body."""

    object: str = "list"
    data: list[Embedding]
    model: str
    usage: EmbeddingUsage


class EmbeddingWriter(CollectingWriter):
    """Renders each vector when it arrives, so that no step takes long.

    Numbers are written as the shortest decimals of the doubles that equal the 32-bit floats.
    """

    def __init__(self, *, is_base64: bool) -> None:
        self._is_base64 = is_base64
        self._data: list[Embedding] = []

    def collect(self, events: Sequence[Event]) -> None:
        """Render the vectors of a batch."""
        for event in events:
            if isinstance(event, EmbeddingVectors):
                size = event.dimensions * _FLOAT_BYTES
                rows = (event.data[start : start + size] for start in range(0, event.count * size, size))
                self._data += [
                    Embedding(index=event.index + at, embedding=self._render_vector(row)) for at, row in enumerate(rows)
                ]

    async def finish(self) -> bytes:
        """Return the answer, with the vectors in the order of their inputs."""
        data = sorted(self._data, key=lambda each: each.index)
        usage = EmbeddingUsage(self.usage.prompt_tokens, self.usage.prompt_tokens)
        return json_codec.encode(EmbeddingList(data=data, model=self.answer.model, usage=usage))

    def _render_vector(self, row: bytes) -> msgspec.Raw:
        if self._is_base64:
            return msgspec.Raw(b'"' + base64.b64encode(row) + b'"')
        numbers = array("f", row)
        if sys.byteorder == "big":
            numbers.byteswap()
        return msgspec.Raw(msgspec.json.encode(numbers.tolist()))
