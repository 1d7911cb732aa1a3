"""A reader of documents that ends when it is asked."""

import os
import sys


def main() -> None:
    """End at the first byte of a message."""
    sys.stdin.buffer.read(1)
    os.abort()
