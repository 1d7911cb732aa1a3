"""ASGI middleware that authenticates callers, and checks their access and rate limits before any endpoint runs."""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from homeport.api.access_policy import (
    ADMIN_PREFIX,
    ORGANIZATION_PREFIX,
    PUBLIC_FILE_PREFIXES,
    SELF_PATH,
    AccessPolicy,
    has_host,
)
from homeport.api.page.page_files import PAGE_PREFIX
from homeport.api.request_context import context_of, internal_caller_of
from homeport.api.unknown_paths import unknown_url
from homeport.domain.errors import Unauthenticated
from homeport.domain.security import is_loopback
from homeport.serving.request_tickets import RequestLimiter

_UNCOUNTED_METHODS = ("GET", "HEAD", "OPTIONS")
"""Methods that change nothing and use no model. They do not count towards rate limits."""
_PUBLIC_PATHS = ("/", "/health", "/health/live", "/health/ready")
_METRICS_PATH = "/metrics"
_FORWARDED = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip")
"""The headers that proxies add to forwarded requests."""


class AuthenticationMiddleware:
    """Middleware that sets the caller of a request and counts the request, or raises the reason to refuse it."""

    def __init__(self, app: ASGIApp, access: AccessPolicy, rate_limiter: RequestLimiter) -> None:
        self._app = app
        self._access = access
        self._rate_limiter = rate_limiter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check host, origin, key and the limits of the key."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        self._check(scope)
        context = context_of(scope)
        ticket = context.rate_ticket
        # A background response was counted when it was accepted, and its caller's stream may still be open.
        if scope["method"] not in _UNCOUNTED_METHODS and not context.response_id:
            await ticket.acquire()
        try:
            await self._app(scope, receive, send)
        finally:
            ticket.release()

    def _check(self, scope: Scope) -> None:
        context, internal_caller = context_of(scope), internal_caller_of(scope)
        if internal_caller is not None:
            context.response_id = internal_caller.response_id
            # The caller of a background response waits for it, so it has the priority and the limits of other requests.
            context.is_background = is_background = not internal_caller.response_id
            context.caller = caller = self._access.authenticate_internal(internal_caller)
            if caller.stored_key is not None:
                context.rate_ticket = self._rate_limiter.request_ticket(caller.stored_key, is_background=is_background)
            return
        headers = Headers(scope=scope)
        path = scope["path"]
        if self._access.is_keyless and not (path in _PUBLIC_PATHS and _is_hostless_probe(scope, headers)):
            self._access.check_host_and_origin(path, headers)
        if path in _PUBLIC_PATHS or path.startswith((*PUBLIC_FILE_PREFIXES, PAGE_PREFIX)):
            return
        if path == _METRICS_PATH and self._access.scraping.mode == "off":
            raise unknown_url(scope["method"], path)
        if path == _METRICS_PATH and self._access.check_scraping(headers, is_local=_is_local_request(scope, headers)):
            return
        if path == SELF_PATH and self._access.is_admin(headers) and not self._access.is_caller(headers):
            return
        if path != SELF_PATH and f"{path}/".startswith(ADMIN_PREFIX):
            if not self._access.is_admin(headers):
                raise unknown_url(scope["method"], path)
            return
        if path.startswith(ORGANIZATION_PREFIX):
            if not self._access.is_admin(headers):
                raise Unauthenticated("An organization's usage requires an admin key.")
            return
        context.caller = caller = self._access.authenticate(headers)
        if caller.stored_key is not None:
            context.rate_ticket = self._rate_limiter.request_ticket(caller.stored_key)


def _is_hostless_probe(scope: Scope, headers: Headers) -> bool:
    """Return whether a request of this machine uses HTTP/1.0 without a Host header, as no browser does."""
    client = scope.get("client")
    is_bare = scope["http_version"] == "1.0" and "host" not in headers and "origin" not in headers
    return is_bare and client is not None and is_loopback(client[0])


def _is_local_request(scope: Scope, headers: Headers) -> bool:
    """Return whether a request comes from this machine, neither from a web page nor through a proxy for another host.

    A proxy may leave no trace, so operators of proxies set a key instead of relying on this. Many proxies use HTTP/1.0.
    """
    client = scope.get("client")
    origin = headers.get("origin")
    return (
        client is not None
        and scope.get("http_version") != "1.0"
        and not any(name in headers for name in _FORWARDED)
        and is_loopback(client[0])
        and has_host(f"//{headers.get('host', '')}", is_loopback)
        and (origin is None or has_host(origin, is_loopback))
    )
