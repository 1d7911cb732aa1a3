"""ASGI middleware that turns exceptions into responses in the error format of their path.

An unexpected error is logged with the request's id, and the caller receives nothing but this id.
"""

import logging

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from homeport.api.error_formats import formatted_error
from homeport.api.error_responses import STATUS, error_to_report
from homeport.api.request_context import context_of
from homeport.domain.errors import HomeportError

_log = logging.getLogger("homeport.errors")


class ErrorMiddleware:
    """Middleware that answers errors, unless the response has started: then the connection is closed."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        context = context_of(scope)
        try:
            await self._app(scope, receive, send)
        except ClientDisconnect:
            return
        except Exception as error:
            reported = error_to_report(error) or _unexpected_error(context.id)
            if STATUS[type(reported)].status == 500 or isinstance(error, OSError):
                _log.exception("request_id=%s path=%s failed", context.id, context.route)
            if context.status is not None:
                raise
            response = formatted_error(reported, scope)
            del reported  # a cycle with its traceback would keep the request's body in memory
            await response(scope, receive, send)


def _unexpected_error(request_id: str) -> HomeportError:
    return HomeportError(
        "The server had an error while processing your request. Sorry about that! You can retry your request; if it "
        f"keeps failing, look for the request ID {request_id} in the server's log."
    )
