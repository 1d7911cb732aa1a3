"""Memory that was written once and is never read, given back to the system while it stays allocated.

Only on Linux, where pages come back as zeros when they are touched again; elsewhere nothing happens.
"""

import ctypes
import mmap
import sys


def release_pages(address: int, size: int) -> None:
    """Give back the whole pages within `size` bytes from `address`. Their content is lost: it must not matter."""
    if sys.platform != "linux":
        return
    start = -(-address // mmap.PAGESIZE) * mmap.PAGESIZE
    end = (address + size) // mmap.PAGESIZE * mmap.PAGESIZE
    if end > start:
        # What cannot be given back stays where it is, which does no harm.
        ctypes.CDLL(None).madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), mmap.MADV_DONTNEED)
