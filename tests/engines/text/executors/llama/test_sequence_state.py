"""llama.cpp's format of a saved sequence."""

import numpy as np
import pytest

from homeport.domain.errors import EngineFailed
from homeport.engines.text.executors.llama.sequence_state import SequenceFormat
from homeport.engines.text.kv_rows import KVRows

FORMAT = SequenceFormat(2, 3)


def saved(format: SequenceFormat = FORMAT) -> bytearray:
    """Some rows as they are saved, from the number of cells on."""
    return bytearray(format.pack(some_rows()).tobytes()[4:])


def some_rows(start: int = 0) -> KVRows:
    """Rows of two layers, five tokens and three values."""
    numbers = np.arange(30, dtype=np.float16).reshape(2, 5, 3)
    return KVRows.of(numbers, -numbers, start)


@pytest.mark.parametrize("rotations", [b"", bytes(8)], ids=["older", "newer"])
def test_what_is_packed_is_unpacked(rotations: bytes) -> None:
    """Keys and values are the same after packing and unpacking, in the formats of older and newer builds."""
    rows, format = some_rows(), SequenceFormat(2, 3, rotations)
    state = memoryview(saved(format))
    assert SequenceFormat.of(state, 2, 3) == format
    again = format.unpack(state)
    assert np.array_equal(again.keys, rows.keys)
    assert np.array_equal(again.values, rows.values)


def test_cells_are_sorted_by_position() -> None:
    """A sequence whose cells are in another order is unpacked in the order of its positions."""
    state = saved()
    first, second = state[4:16], state[16:28]
    state[4:16], state[16:28] = second, first
    keys = FORMAT.unpack(memoryview(state)).keys
    assert keys[0, :2].tolist() == [[3, 4, 5], [0, 1, 2]]


@pytest.mark.parametrize(("at", "value"), [(4, 1), (64, 1), (68, 3), (72, 0), (76, 8)], ids=lambda value: str(value))
def test_other_states_are_refused(at: int, value: int) -> None:
    """A position twice, transposed values, other layers, types and widths are refused."""
    state = saved()
    state[at : at + 4] = value.to_bytes(4, "little")
    with pytest.raises(EngineFailed):
        FORMAT.unpack(memoryview(state))


def test_a_state_of_another_size_is_refused() -> None:
    """A state of another model is refused by its size."""
    with pytest.raises(EngineFailed, match="does not have 3 layers of 3 values"):
        SequenceFormat.of(memoryview(saved()), 3, 3)
