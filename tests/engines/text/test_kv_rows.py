"""Keys and values that grow."""

import numpy as np

from homeport.engines.text.kv_rows import KVRows


def add(rows: KVRows, count: int, value: float) -> None:
    """Append `count` tokens whose keys are `value` and whose values are its negative."""
    keys, values = rows.extend(count)
    keys[:], values[:] = value, -value


def test_rows_keep_what_was_written_while_they_grow() -> None:
    """Rows written before their memory had to grow are unchanged, in keys and values, and each layer is contiguous."""
    rows = KVRows(2, 3)
    for value in range(5):
        add(rows, 300, value)
    assert rows.keys.shape == rows.values.shape == (2, 1500, 3)
    for value in range(5):
        assert (rows.keys[:, 300 * value : 300 * value + 300] == value).all()
        assert (rows.values[:, 300 * value : 300 * value + 300] == -value).all()
    assert all(layer.flags.c_contiguous for layer in rows.keys)


def test_a_part_begins_at_its_position() -> None:
    """The rows since a position keep their positions."""
    rows = KVRows(1, 1, start=10)
    add(rows, 4, 1)
    add(rows, 2, 2)
    part = rows.since(14)
    assert (part.start, part.end) == (14, 16)
    assert part.keys.ravel().tolist() == [2, 2]


def test_trimmed_rows_are_overwritten() -> None:
    """After a trim, the next rows follow the kept ones; a trim before the start keeps none."""
    rows = KVRows(1, 1, start=10)
    add(rows, 4, 1)
    rows.trim(12)
    add(rows, 1, 3)
    assert (rows.end, rows.keys.ravel().tolist()) == (13, [1, 1, 3])
    rows.trim(2)
    assert rows.end == 10


def test_rows_of_arrays_are_not_copied() -> None:
    """Rows made of arrays use these arrays."""
    keys = np.ones((1, 2, 3), np.float16)
    rows = KVRows.of(keys, keys)
    assert np.shares_memory(rows.keys, keys)
