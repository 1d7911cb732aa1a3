"""Authentication as an ASGI layer: finds the caller, checks its key and rate limits before any endpoint runs."""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from homeport.api.access import (
    _FORWARDED,
    ADMIN_PREFIX,
    ORGANIZATION_PREFIX,
    PUBLIC_IMAGE_PREFIX,
    AccessPolicy,
    _is_at,
    _is_hostless_probe,
)
from homeport.api.request_context import (
    context_of,
    internal_caller_of,
)
from homeport.domain.errors import NotFound, Unauthenticated
from homeport.domain.security import is_loopback
from homeport.serving.rate_limits import RateLimiter

_UNCOUNTED_METHODS = ("GET", "HEAD", "OPTIONS")
"""Methods that change nothing and ask no model: they are not counted."""


_PUBLIC_PATHS = ("/", "/health", "/health/live", "/health/ready")


_METRICS_PATH = "/metrics"


class AuthenticationMiddleware:
    """Middleware: lets a request through to `app`, its caller known and counted, or raises why not."""

    def __init__(self, app: ASGIApp, access: AccessPolicy, quotas: RateLimiter) -> None:
        self._app = app
        self._access = access
        self._quotas = quotas

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check host, origin, key and the key's limits."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        self._check(scope)
        passage = context_of(scope).rate_ticket
        if scope["method"] not in _UNCOUNTED_METHODS:
            passage.acquire()
        try:
            await self._app(scope, receive, send)
        finally:
            passage.release()

    def _check(self, scope: Scope) -> None:
        exchange, sender = context_of(scope), internal_caller_of(scope)
        if sender is not None:
            exchange.is_background = True
            exchange.caller = caller = self._access.authenticate_internal(sender)
            if caller.stored_key is not None:
                exchange.rate_ticket = self._quotas.ticket(caller.stored_key, is_background=True)
            return
        headers = Headers(scope=scope)
        path = scope["path"]
        if self._access.is_keyless and not (path in _PUBLIC_PATHS and _is_hostless_probe(scope, headers)):
            self._access.check_nearness(path, headers)
        if path in _PUBLIC_PATHS or path.startswith(PUBLIC_IMAGE_PREFIX):
            return
        if path == _METRICS_PATH and self._access.scraping.mode == "off":
            raise NotFound(f"Invalid URL ({scope['method']} {path})", code="unknown_url")
        if path == _METRICS_PATH and self._access.check_scraping(headers, is_here=_is_local_request(scope, headers)):
            return
        if f"{path}/".startswith(ADMIN_PREFIX):
            if not self._access.is_admin(headers):
                raise NotFound(f"Invalid URL ({scope['method']} {path[:200]})", code="unknown_url")
            return
        if path.startswith(ORGANIZATION_PREFIX):
            if not self._access.is_admin(headers):
                raise Unauthenticated("An organization's usage is told only to the holder of an admin key.")
            return
        exchange.caller = caller = self._access.authenticate(headers)
        if caller.stored_key is not None:
            exchange.rate_ticket = self._quotas.ticket(caller.stored_key)


def _is_local_request(scope: Scope, headers: Headers) -> bool:
    """Whether a request comes from this machine, not from a web page, and not through a proxy for another.

    A proxy may leave no trace, so who runs one sets a key for what goes by this. HTTP/1.0 is what many of them speak.
    """
    client = scope.get("client")
    origin = headers.get("origin")
    return (
        client is not None
        and scope.get("http_version") != "1.0"
        and not any(name in headers for name in _FORWARDED)
        and is_loopback(client[0])
        and _is_at(f"//{headers.get('host', '')}", is_loopback)
        and (origin is None or _is_at(origin, is_loopback))
    )
