"""bench/LOG.md, to which every table is appended that was measured in earnest."""

from collections.abc import Iterable
from pathlib import Path

LOG = Path(__file__).parent / "LOG.md"


def append(lines: Iterable[str]) -> None:
    """Add a table below those that are there."""
    with LOG.open("a", encoding="utf-8") as log:
        log.write("\n" + "\n".join(lines) + "\n")
