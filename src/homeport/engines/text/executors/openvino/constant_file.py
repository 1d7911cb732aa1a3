"""Constants of a graph in a temporary file, so that they take memory only while they are read.

OpenVINO packs a weight when it is first multiplied, and keeps the constant as well. In a file, that part is given back.
Knows nothing of graphs and models.
"""

import mmap
import os
import tempfile
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from homeport.domain.errors import Unavailable

_Number = TypeVar("_Number", bound=np.generic)
_ALIGNMENT = 64  # of what OpenVINO uses without a copy


class ConstantFile:
    """A file without a name of `size` bytes, in a folder. It is deleted when nothing uses its arrays any more."""

    def __init__(self, folder: Path, size: int) -> None:
        """Raises Unavailable if there is no room on the disk, or the folder cannot be written."""
        try:
            with tempfile.TemporaryFile(dir=folder) as file:
                os.posix_fallocate(file.fileno(), 0, size)  # without room, writing to the map would end the process
                self._map = mmap.mmap(file.fileno(), size)
        except OSError as error:
            raise Unavailable(f"{size / 1e6:.0f} MB cannot be written to {folder}: {error.strerror}.") from error
        self._end = 0

    def keep(self, array: NDArray[_Number]) -> NDArray[_Number]:
        """Return a copy of an array in the file."""
        kept = np.frombuffer(self._map, array.dtype, array.size, self._end).reshape(array.shape)
        kept[...] = array
        self._end += -(-array.nbytes // _ALIGNMENT) * _ALIGNMENT
        return kept

    def drop_memory(self) -> None:
        """Give back the memory of all arrays. What is read again is read from the file."""
        self._map.madvise(mmap.MADV_DONTNEED)
