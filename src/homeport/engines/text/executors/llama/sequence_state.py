"""The format in which llama.cpp saves a sequence of a KV cache: keys and values of float16, values not transposed.

After the number of streams, and of the cells of those before, come the number of cells; each cell's position, number of
sequences (1) and sequence id; the layout of the values and the number of layers; in newer builds two numbers that are 0
unless keys or values are rotated; then for each layer type, bytes of a row, and all rows of the keys, and the same for
the values. Cells are in any order. Knows nothing of contexts.
Source: src/llama-kv-cache.cpp, `state_write` (builds 11413 to 11739).
"""

import struct

import msgspec
import numpy as np
from numpy.typing import NDArray

from homeport.domain.errors import EngineFailed
from homeport.engines.text.kv_rows import KVRows

_COUNT, _SHAPE, _ROWS = struct.Struct("=I"), struct.Struct("=II"), struct.Struct("=iQ")
_CELL = np.dtype([("position", np.int32), ("sequences", np.uint32), ("sequence", np.int32)])
COUNT_BYTES = _COUNT.size
"""The number of streams is as long, and stands before all else."""

_FLOAT16 = 1  # ggml's number of the type
_IN_ROWS = 0  # the values are not transposed
_ROTATIONS = (b"", bytes(8))  # of older builds, and of newer ones


class SequenceFormat(msgspec.Struct, frozen=True):
    """A model's layers and width of keys and values, and what a build writes of rotations."""

    layers: int
    width: int
    rotations: bytes = b""

    @classmethod
    def of(cls, state: memoryview, layers: int, width: int) -> "SequenceFormat":
        """Return the format of a saved sequence, given from its number of cells on.

        Raises EngineFailed if it is not known.
        """
        [count] = _COUNT.unpack_from(state)
        for rotations in _ROTATIONS:
            known = cls(layers, width, rotations)
            start, size = known._start(count), 2 * layers * known._layer_size(count)
            if len(state) == start + size and state[start - len(rotations) : start] == rotations:
                return known
        raise EngineFailed(f"A saved sequence of {len(state)} bytes does not have {layers} layers of {width} values.")

    def pack(self, rows: KVRows, header: bytes = b"", streams: int = 1) -> NDArray[np.uint8]:
        """Return rows as a saved sequence, written once. `header`: of a build; `streams`: those of the cache."""
        count = rows.end - rows.start
        cells = np.zeros(count, _CELL)
        cells["position"] = np.arange(rows.start, rows.end)
        cells["sequences"] = 1
        shape = _SHAPE.pack(_IN_ROWS, self.layers)
        head = b"".join((header, _COUNT.pack(streams), _COUNT.pack(count), cells.tobytes(), shape, self.rotations))
        size, row_head = self._layer_size(count), _ROWS.pack(_FLOAT16, self.width * 2)
        others = _COUNT.size * (streams - 1)  # the other streams have no cells
        state = np.empty(len(head) + 2 * self.layers * size + others, np.uint8)
        state[: len(head)] = np.frombuffer(head, np.uint8)
        state[len(state) - others :] = 0
        blocks = state[len(head) : len(state) - others].reshape(2, self.layers, size)
        blocks[:, :, : _ROWS.size] = np.frombuffer(row_head, np.uint8)
        for block, layers in zip(blocks, (rows.keys, rows.values), strict=True):
            for part, layer in zip(block, layers, strict=True):
                part[_ROWS.size :] = layer.reshape(-1).view(np.uint8)
        return state

    def unpack(self, state: memoryview) -> KVRows:
        """Return a saved sequence, from its number of cells on, as rows from position 0 on.

        Raises EngineFailed if it is anything else.
        """
        [count] = _COUNT.unpack_from(state)
        cells = np.frombuffer(state, _CELL, count, _COUNT.size)
        order = np.argsort(cells["position"], kind="stable")
        if not np.array_equal(cells["position"][order], np.arange(count)):
            raise EngineFailed("A saved sequence does not have every position once.")
        if _SHAPE.unpack_from(state, _COUNT.size + cells.nbytes) != (_IN_ROWS, self.layers):
            raise EngineFailed("A saved sequence has transposed values or another number of layers.")
        size = self._layer_size(count)
        blocks = np.frombuffer(state, np.uint8, 2 * self.layers * size, self._start(count))
        blocks = blocks.reshape(2, self.layers, size)
        if any(_ROWS.unpack_from(block) != (_FLOAT16, self.width * 2) for part in blocks for block in part):
            raise EngineFailed("A saved sequence has keys or values of another type.")
        rows: NDArray[np.float16] = blocks[:, :, _ROWS.size :].copy().view(np.float16)
        rows = rows.reshape(2, self.layers, count, self.width)
        if not np.array_equal(order, np.arange(count)):
            rows = rows[:, :, order]
        return KVRows.of(rows[0], rows[1])

    def _start(self, count: int) -> int:
        """Return where the keys of the first layer begin."""
        return _COUNT.size + count * _CELL.itemsize + _SHAPE.size + len(self.rotations)

    def _layer_size(self, count: int) -> int:
        return _ROWS.size + count * self.width * 2
