"""Cross-origin requests of web pages, for the origins the operator listed. Not in the stack unless there are any.

Knows nothing of keys: a page that may ask still needs one where keys are set.
"""

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp

from homeport.api.errors import error_response
from homeport.domain.errors import Forbidden

_RATES = tuple(f"x-ratelimit-{what}-{of}" for of in ("requests", "tokens") for what in ("limit", "remaining", "reset"))
_READABLE = ("x-request-id", "openai-processing-ms", "x-homeport-model", "retry-after", "x-should-retry", *_RATES)


class Cors(CORSMiddleware):
    """Starlette's CORS, with its refusals in OpenAI's envelope."""

    def __init__(self, app: ASGIApp, origins: tuple[str, ...]) -> None:
        super().__init__(
            app, allow_origins=origins, allow_methods=("*",), allow_headers=("*",), expose_headers=_READABLE
        )

    def preflight_response(self, request_headers: Headers) -> Response:
        """Answer a browser that asks before it sends."""
        response = super().preflight_response(request_headers)
        if response.status_code < 400:
            return response
        return error_response(Forbidden(bytes(response.body).decode(), code="origin_not_allowed"))
