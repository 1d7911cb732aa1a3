"""Cross-origin requests of web pages: from the origins in the settings, and without keys from pages of this machine.

Knows nothing of keys: if keys are set, a page needs one as well.
"""

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from homeport.api.access_policy import AccessPolicy, is_administrative
from homeport.api.error_responses import error_response
from homeport.domain.errors import Forbidden

_RATE_LIMIT_HEADERS = tuple(
    f"x-ratelimit-{what}-{of}" for of in ("requests", "tokens") for what in ("limit", "remaining", "reset")
)
_HOMEPORT_HEADERS = tuple(f"x-homeport-{what}" for what in ("model", "messages", "limited-by", "seed", "skipped"))
_EXPOSED_HEADERS = (
    "x-request-id",
    "request-id",
    "openai-processing-ms",
    *_HOMEPORT_HEADERS,
    "retry-after",
    "x-should-retry",
    *_RATE_LIMIT_HEADERS,
)


class CorsMiddleware:
    """Middleware that answers preflight requests, and lets allowed pages read the responses.

    `/admin` is available to listed origins only, and never across networks (from the internet to this machine).
    """

    def __init__(self, app: ASGIApp, access: AccessPolicy) -> None:
        self._app = app
        self._access = access
        self._listed = _Pages(app, access.origins, is_private=True) if access.origins else app
        self._admin = _Pages(app, access.origins, is_private=False) if access.origins else app
        self._own = _Pages(app, (), is_private=True, pattern=".*")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif is_administrative(scope["path"]):
            await self._admin(scope, receive, send)
        elif self._access.allows_page(scope["path"], Headers(scope=scope)):
            await self._own(scope, receive, send)
        else:
            await self._listed(scope, receive, send)


class _Pages(CORSMiddleware):
    """Starlette's CORS, with refusals in OpenAI's error format, for `origins` and those that match `pattern`.

    `is_private`: pages of servers in other networks have access (Private Network Access).
    """

    def __init__(self, app: ASGIApp, origins: tuple[str, ...], *, is_private: bool, pattern: str | None = None) -> None:
        super().__init__(
            app,
            allow_origins=origins,
            allow_origin_regex=pattern,
            allow_methods=("*",),
            allow_headers=("*",),
            allow_private_network=is_private,
            expose_headers=_EXPOSED_HEADERS,
        )

    def preflight_response(self, request_headers: Headers) -> Response:
        """Answer a preflight request."""
        response = super().preflight_response(request_headers)
        if response.status_code < 400:
            return response
        return error_response(Forbidden(bytes(response.body).decode(), code="origin_not_allowed"))
