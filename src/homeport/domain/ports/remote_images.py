"""The interface of what fetches images that callers name by URL.

`app` chooses the implementation. Knows nothing of requests or of what an image is.
"""

from pathlib import Path
from typing import Protocol


class RemoteImageFailed(Exception):
    """An image could not be fetched. The text is for people, and names no address."""


class RemoteImages(Protocol):
    """Fetches files from the hosts that the operator allows."""

    def check(self, url: str) -> None:
        """Check that a URL may be fetched. Raises ValueError with the reason, for people."""
        ...

    async def fetch(self, url: str, target: Path, max_bytes: int) -> None:
        """Write the file under a checked URL to `target`. Raises RemoteImageFailed, also beyond `max_bytes`."""
        ...
