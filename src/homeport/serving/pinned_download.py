"""Downloads one file from one host, within limits. Knows nothing of which hosts are allowed.

URLs may hold credentials: they are sent, and neither logged nor part of errors.
"""

import asyncio
import logging
from pathlib import Path

import httpx2

from homeport.domain.allowed_hosts import Target
from homeport.domain.ports.remote_images import RemoteImageFailed
from homeport.serving.pinned_transport import PinnedTransport

_CONNECT_S = 5.0
_HEADERS = {"accept": "image/*", "accept-encoding": "identity", "user-agent": "homeport"}

for _name in ("httpx2", "httpcore2"):
    logging.getLogger(_name).setLevel(logging.CRITICAL + 1)


async def download(host: Target, url: str, target: Path, max_bytes: int, timeout_s: float) -> None:
    """Write the file under a URL of `host` to `target`. Raises RemoteImageFailed."""
    transport = PinnedTransport(host, max_bytes, _to_failure)
    timeout = httpx2.Timeout(_CONNECT_S, read=timeout_s)
    try:
        async with (
            asyncio.timeout(timeout_s),
            httpx2.AsyncClient(transport=transport, headers=_HEADERS, trust_env=False, timeout=timeout) as client,
            client.stream("GET", url) as response,
        ):
            if transport.failure is not None:
                raise transport.failure
            data = b"".join([part async for part in response.aiter_raw()])
    except TimeoutError:
        raise RemoteImageFailed(f"Its host did not send it within {timeout_s:g} seconds.") from None
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise transport.failure or RemoteImageFailed("Its host is not understood.") from error
    await asyncio.to_thread(target.write_bytes, data)


def _to_failure(message: str, _: int | None) -> RemoteImageFailed:
    return RemoteImageFailed(message)
