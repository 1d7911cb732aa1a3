"""Turn whatever is raised below into an answer in the envelope.

Knows nothing of causes. An error nobody foresaw is logged with the request's id and tells the caller nothing else.
"""

import logging

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from homeport.api.errors import STATUS, error_response, foreseen
from homeport.api.request_context import context_of
from homeport.domain.errors import HomeportError

_log = logging.getLogger("homeport.errors")


class ErrorMiddleware:
    """Middleware: nothing but an answer leaves it, unless the answer had begun; then the connection is cut."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = context_of(scope)
        try:
            await self._app(scope, receive, send)
        except ClientDisconnect:
            return  # Nobody is there to be told.
        except Exception as error:
            told = foreseen(error) or _unforeseen(exchange.id)
            if STATUS[type(told)].status == 500 or isinstance(error, OSError):
                _log.exception("request_id=%s path=%s failed", exchange.id, exchange.route)
            if exchange.status is not None:
                raise
            response = error_response(told)
            del told  # its traceback holds this frame: the two would keep the request's body until the next collection
            await response(scope, receive, send)


def _unforeseen(request_id: str) -> HomeportError:
    return HomeportError(
        "The server had an error while processing your request. Sorry about that! You can retry your request; if it "
        f"keeps failing, look for the request ID {request_id} in the server's log."
    )
