"""The reader of PyTorch's old checkpoints."""

import io
import os
import pickle
from pathlib import Path
from typing import Any

import pytest

from homeport.formats import torch_checkpoint
from tests.samples import torch_checkpoints
from tests.samples.torch_checkpoints import Stored


def read(tensors: dict[str, Stored]) -> dict[str, tuple[tuple[int, ...], list[float]]]:
    """Write and read tensors; return shape and numbers by name."""
    found = torch_checkpoint.read(torch_checkpoints.write(tensors))
    return {name: (each.shape, list(each.values)) for name, each in found.items()}


def test_tensors_are_read_row_by_row() -> None:
    """A tensor is returned with its shape and numbers, and a single number too."""
    tensors = {"a": Stored((2, 3), range(6)), "b": Stored((), [7.5])}
    assert read(tensors) == {"a": ((2, 3), [0, 1, 2, 3, 4, 5]), "b": ((), [7.5])}


def test_turned_tensors_are_put_in_order() -> None:
    """Tensors whose storage is in another order, or larger than they are, are returned row by row."""
    turned = Stored((2, 1, 3), range(6), strides=(1, 9, 2))
    part = Stored((2, 2), range(8), strides=(4, 2), offset=1)
    assert read({"turned": turned, "part": part}) == {
        "turned": ((2, 1, 3), [0, 2, 4, 1, 3, 5]),
        "part": ((2, 2), [1, 3, 5, 7]),
    }


def test_other_types_are_left_out() -> None:
    """Counters, which are 64-bit integers, are skipped."""
    assert list(read({"count": Stored((), [3], kind="LongStorage"), "a": Stored((1,), [1])})) == ["a"]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80\x02}q\x00.",
        torch_checkpoints.write({}, signature=5),
        torch_checkpoints.write({"a": Stored((4,), range(4))})[:-3],
        torch_checkpoints.write({"a": Stored((5,), range(4))}),
        torch_checkpoints.write({"a": Stored((2,), range(4), offset=-1)}),
        torch_checkpoints.write({"a": Stored((4,), range(4), kind="HalfStorage")}),
    ],
    ids=["empty", "other pickle", "signature", "cut", "too small", "before the start", "unknown type"],
)
def test_other_files_are_refused(data: bytes) -> None:
    """What is not a whole checkpoint of known tensors is a ValueError, whatever is wrong with it."""
    with pytest.raises(ValueError, match=r"."):
        torch_checkpoint.read(data)


class _Call:
    def __init__(self, target: Path) -> None:
        self._target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self._target),)


def test_nothing_in_a_checkpoint_runs(tmp_path: Path) -> None:
    """A function that is named in a file is not called: the file is refused."""
    file = io.BytesIO()
    for part in (torch_checkpoints.SIGNATURE, torch_checkpoints.VERSION, _Call(tmp_path / "ran")):
        pickle.dump(part, file)
    with pytest.raises(ValueError, match="not allowed"):
        torch_checkpoint.read(file.getvalue())
    assert not (tmp_path / "ran").exists()
