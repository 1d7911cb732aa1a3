"""Fetches images by URL from the hosts that the operator allows. Knows nothing of what an image is.

A URL leads to its host only: redirects are not followed, and a name must not have an address of the operator's own
networks. The HTTP client is imported at the first use.
"""

import asyncio
import importlib
from pathlib import Path

from homeport.domain.allowed_hosts import AllowedHosts

_DOWNLOAD = "homeport.serving.pinned_download"
TIMEOUT_S = 20.0


class HttpRemoteImages:
    """Fetches over HTTP. `hosts`: those that may be reached; `timeout_s`: for one image. Implements `RemoteImages`."""

    def __init__(self, hosts: AllowedHosts, timeout_s: float = TIMEOUT_S) -> None:
        self._hosts = hosts
        self._timeout_s = timeout_s

    def check(self, url: str) -> None:
        """Check that a URL may be fetched. Raises ValueError with the reason."""
        self._hosts.find(url)

    async def fetch(self, url: str, target: Path, max_bytes: int) -> None:
        """Write what a URL leads to. Raises RemoteImageFailed, and ValueError for a URL that may not be fetched."""
        host = self._hosts.find(url)
        # The first import takes about a tenth of a second, in which the event loop would stand still.
        module = await asyncio.to_thread(importlib.import_module, _DOWNLOAD)
        await module.download(host, url, target, max_bytes, self._timeout_s)
