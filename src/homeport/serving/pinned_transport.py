"""HTTP to one host, at addresses that were resolved and checked once. Knows nothing of what is sent.

No request leaves for another host, whatever a server says: redirects are refused. A name is resolved once in the life
of a transport, so that what was checked is what is connected to. Responses are bounded, and never compressed.
"""

import asyncio
import functools
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Generic, TypeVar

import httpx2

from homeport.domain.allowed_hosts import Target, is_allowed

Failure = TypeVar("Failure", bound=Exception)

_MAX_ADDRESSES = 4


@functools.cache
def _ssl_context() -> ssl.SSLContext:
    """Return the certificates that are trusted. Reading them takes some 20 ms."""
    return httpx2.create_ssl_context()


class PinnedTransport(httpx2.AsyncBaseTransport, Generic[Failure]):
    """Sends requests to `target` only. `to_failure` makes an error of a reason and, if that is it, an HTTP status.

    `failure`: why the last request failed, until it is cleared: the code between may report something less precise.
    """

    def __init__(self, target: Target, max_bytes: int, to_failure: Callable[[str, int | None], Failure]) -> None:
        self.failure: Failure | None = None
        self._target = target
        self._max_bytes = max_bytes
        self._to_failure = to_failure
        self._addresses: Sequence[str] = ()
        self._inner = httpx2.AsyncHTTPTransport(verify=_ssl_context())

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request. Raises a TransportError, and sets `failure`, for what is not allowed or does not work."""
        url, target = request.url, self._target
        port = url.port or (443 if url.scheme == "https" else 80)
        if (url.scheme, url.host.strip("[]").rstrip("."), port) != (target.scheme, target.host, target.port):
            raise self._fail("It sends its client to another host, which is refused.")
        if not self._addresses:
            self._addresses = await self._resolve()
        response = await self._send(request)
        if 300 <= response.status_code < 400:
            await response.aclose()
            raise self._fail("It redirects, which is not followed.", http_status=response.status_code)
        if response.headers.get("content-encoding", "identity") != "identity":
            await response.aclose()
            raise self._fail("Its response is compressed, although it was not asked for.")
        if response.status_code >= 400:
            status = response.status_code
            self.failure = self._to_failure(f"It responds with the HTTP status {status}.", status)
        return httpx2.Response(
            response.status_code,
            headers=response.headers,
            stream=_BoundedStream(response, self._max_bytes, self._fail),
            extensions=response.extensions,
        )

    async def aclose(self) -> None:
        """Close all connections."""
        await self._inner.aclose()

    async def _resolve(self) -> Sequence[str]:
        """Return the host's addresses, all of which must be allowed."""
        target = self._target
        try:
            found = await asyncio.get_running_loop().getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            raise self._fail("The name of its host is not found.") from None
        addresses = tuple(dict.fromkeys(str(each[4][0]) for each in found))[:_MAX_ADDRESSES]
        if not addresses or not all(is_allowed(address, target) for address in addresses):
            raise self._fail("Its host has an address that this server does not connect to.")
        return addresses

    async def _send(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request to the first address that accepts a connection."""
        for address in self._addresses:
            pinned = httpx2.Request(
                request.method,
                request.url.copy_with(host=address),
                headers=request.headers,  # `Host` is among them
                stream=request.stream,
                extensions={**request.extensions, "sni_hostname": self._target.host},
            )
            try:
                return await self._inner.handle_async_request(pinned)
            except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
                reason = error
            except httpx2.TransportError as error:
                raise self._fail("The connection broke.") from error
        raise self._fail(_reason(reason)) from reason

    def _fail(self, message: str, http_status: int | None = None) -> httpx2.TransportError:
        self.failure = self._to_failure(message, http_status)
        return httpx2.TransportError(message)


class _BoundedStream(httpx2.AsyncByteStream):
    """The body of a response, which ends with an error beyond `max_bytes`."""

    def __init__(self, response: httpx2.Response, max_bytes: int, fail: Callable[[str], httpx2.TransportError]) -> None:
        self._response = response
        self._left = self._max = max_bytes
        self._fail = fail

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._response.aiter_raw():
            self._left -= len(part)
            if self._left < 0:
                raise self._fail(f"Its response has more than {self._max} bytes.")
            yield part

    async def aclose(self) -> None:
        await self._response.aclose()


def _reason(error: httpx2.TransportError) -> str:
    if isinstance(error.__cause__, ssl.SSLError) or "certificate" in str(error).lower():
        return "Its certificate is not accepted."
    return "It is not reached."
