import ctypes
import mmap
import sys

import pytest

from homeport.engines.llama.memory_pages import release_pages

_PAGES = 8


@pytest.mark.skipif(sys.platform != "linux", reason="pages are given back on Linux alone")
def test_whole_pages_are_released() -> None:
    """Pages that are completely inside are empty afterwards, and memory around them is unchanged."""
    size = _PAGES * mmap.PAGESIZE
    with mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        memory.write(b"x" * size)
        address = ctypes.addressof(view := ctypes.c_char.from_buffer(memory))
        release_pages(address + 100, 3 * mmap.PAGESIZE)
        release_pages(address + 100, 200)
        del view
        found = [memory[at * mmap.PAGESIZE] for at in range(_PAGES)]
    assert found == [ord("x"), 0, 0, *[ord("x")] * (_PAGES - 3)]
