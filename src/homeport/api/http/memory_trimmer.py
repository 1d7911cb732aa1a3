"""Returns freed memory to the system when the server becomes idle.

glibc keeps freed memory for later allocations, so after a few large requests an idle server would stay at its largest
size. Elsewhere (musl, macOS) the allocator returns it by itself, and nothing is done.
"""

import asyncio
import ctypes
from collections.abc import Callable

_IDLE_S = 3.0


def glibc_trim() -> Callable[[int], int] | None:
    """glibc's `malloc_trim`; None with other allocators."""
    try:
        trim: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError):
        return None
    return trim


class MemoryTrimmer:
    """Trims once after requests were answered and none has run for some seconds."""

    def __init__(self, trim: Callable[[int], int] | None = None) -> None:
        self._trim = trim or glibc_trim()
        self._n_trimmed = 0
        self._idle_since: float | None = None
        self._running: asyncio.Future[int] | None = None

    def trim_if_idle(self, now: float, n_requests: int, *, is_idle: bool) -> None:
        """Trim, if it is time; call it often. `n_requests`: how many requests have been answered so far."""
        if not is_idle or n_requests == self._n_trimmed or self._trim is None:
            self._idle_since = None
        elif self._idle_since is None:
            self._idle_since = now
        elif now - self._idle_since >= _IDLE_S:
            self._n_trimmed = n_requests
            # In a thread, because a large heap takes a while. ctypes releases the interpreter's lock.
            self._running = asyncio.get_running_loop().run_in_executor(None, self._trim, 0)
