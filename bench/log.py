"""bench/LOG.md, the log of measured tables."""

from collections.abc import Iterable
from pathlib import Path

LOG = Path(__file__).parent / "LOG.md"


def append(lines: Iterable[str]) -> None:
    """Append a table."""
    with LOG.open("a", encoding="utf-8") as log:
        log.write("\n" + "\n".join(lines) + "\n")
