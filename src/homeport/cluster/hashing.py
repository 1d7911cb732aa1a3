"""A fast hash of two integers that is the same in every process."""

_MASK = (1 << 64) - 1


def mixed(first: int, second: int) -> int:
    """Return a 64-bit hash of two integers (the finalizer of SplitMix64; Steele, Lea and Flood, 2014)."""
    value = (first * 0x9E3779B97F4A7C15 + second + 0x632BE59BD9B4E019) & _MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)
