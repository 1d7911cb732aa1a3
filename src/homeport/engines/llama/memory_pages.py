"""Returns memory that was written once and is never read to the system, while it stays allocated.

Only on Linux, where such pages are zeros when they are accessed again; on other systems it does nothing.
"""

import ctypes
import mmap
import sys


def release_pages(address: int, size: int) -> None:
    """Release the whole pages within `size` bytes from `address`. Their content is lost."""
    if sys.platform != "linux":
        return
    start = -(-address // mmap.PAGESIZE) * mmap.PAGESIZE
    end = (address + size) // mmap.PAGESIZE * mmap.PAGESIZE
    if end > start:
        # Pages that cannot be released stay in use, which does no harm.
        ctypes.CDLL(None).madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), mmap.MADV_DONTNEED)
