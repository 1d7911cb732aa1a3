"""A reader of documents that never replies."""

import sys


def main() -> None:
    """Read all input, and reply nothing."""
    sys.stdin.buffer.read()
