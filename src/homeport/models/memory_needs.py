"""How much memory a model needs, and which window fits into a machine's memory. Knows nothing of catalogues or files.

It follows the text engine: the KV cache holds 16-bit keys and values and takes at most a quarter of the available
memory, and the window shrinks to what the cache holds. Memory of graphics cards is not counted.
"""

_KV_SHARE = 0.25
_MIN_WINDOW = 4096
"""A model that can hold less than this is of little use, so it does not count as fitting."""
_WINDOW_STEP = 1024
_RESERVE_BYTES = 1_000_000_000
"""For buffers of the computation, and for what other programs will want."""


def memory_bytes(file_bytes: int | None, kv_bytes: int | None, window: int | None) -> int | None:
    """Return the memory for a model's files and the KV cache of one full window; None if one of them is unknown.

    `kv_bytes`: of one token.
    """
    if file_bytes is None or kv_bytes is None or window is None:
        return None
    return file_bytes + kv_bytes * window


def fitting_window(file_bytes: int | None, kv_bytes: int | None, window: int | None, available: int) -> int | None:
    """Return the window in tokens that fits into `available` bytes beside the files, at most `window`.

    0: not even a small one fits. None: a size is unknown.
    """
    if file_bytes is None or kv_bytes is None or window is None:
        return None
    room = min(available - _RESERVE_BYTES - file_bytes, int(available * _KV_SHARE))
    if not kv_bytes:  # a model without a KV cache, such as one for embeddings, needs memory for its files only
        return window if room >= 0 else 0
    tokens = min(window, room // kv_bytes)
    if tokens < min(window, _MIN_WINDOW):
        return 0
    return tokens if tokens == window else tokens - tokens % _WINDOW_STEP
