"""The outermost layer: every answer, errors included, gets OpenAI's headers, one log line and one count.

Knows nothing of what is answered. Pure ASGI; never looks into a body, so neither prompts nor keys reach the log.
"""

import logging
import math
import re

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from homeport.api.errors import error_response
from homeport.api.metrics import Metrics
from homeport.api.request_context import RequestContext, refusal_of, start_context

VERSION = "2020-10-01"

_log = logging.getLogger("homeport.access")
_SANE_ID = re.compile(r"[!-~]{1,128}")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_BUSY = 429
_LEFT = 499
"""What the log says of a client that went away before it was answered; nothing is sent."""


def format_duration(seconds: float) -> str:
    """A time as OpenAI writes it: `20ms`, `1.5s`, `6m0s`. Rounded up, so that nobody comes back too early."""
    thousandths = math.ceil(seconds * 1000)
    if thousandths < 1000:
        return f"{thousandths}ms" if thousandths else "0s"
    minutes, rest = divmod(thousandths, 60_000)
    return f"{minutes}m{rest / 1000:g}s" if minutes else f"{rest / 1000:g}s"


class HeadersMiddleware:
    """Middleware around everything else. `organization` goes out as `openai-organization`."""

    def __init__(self, app: ASGIApp, meters: Metrics, organization: str) -> None:
        self._app = app
        self._meters = meters
        self._organization = organization

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = start_context(scope)

        async def labelled(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._label(message, exchange)
            await send(message)

        refusal = refusal_of(scope)
        try:
            await (error_response(refusal) if refusal else self._app)(scope, receive, labelled)
        finally:
            self._record(scope, exchange)

    def _label(self, message: Message, exchange: RequestContext) -> None:
        headers = MutableHeaders(scope=message)
        headers["x-request-id"] = exchange.id
        headers["openai-processing-ms"] = str(int(exchange.elapsed_ms))
        headers["openai-version"] = VERSION
        headers["openai-organization"] = self._organization
        message["headers"] += [
            (f"x-ratelimit-{what}-{name}".encode(), value.encode())
            for name, rate in exchange.rate_ticket.limit_status().items()
            for what, value in (
                ("limit", str(rate.limit)),
                ("remaining", str(rate.remaining)),
                ("reset", format_duration(rate.reset_s)),
            )
        ]
        if exchange.limited_by:
            headers["x-homeport-limited-by"] = exchange.limited_by
        exchange.status = message["status"]
        exchange.model = headers.get("x-homeport-model", "-")

    def _record(self, scope: Scope, exchange: RequestContext) -> None:
        method = scope["method"] if scope["method"] in _METHODS else "OTHER"
        status = exchange.status or _LEFT
        self._meters.count_response(exchange.route, method, status)
        if status == _BUSY and not exchange.is_background:
            self._meters.count_rate_limited(exchange.caller.project, exchange.caller.key_id)
        named = Headers(scope=scope).get("x-client-request-id", "")
        _log.info(
            "request_id=%s client_request_id=%s method=%s path=%s status=%d ms=%.1f model=%s",
            exchange.id,
            named if _SANE_ID.fullmatch(named) else "-",
            method,
            exchange.route,
            status,
            exchange.elapsed_ms,
            exchange.model,
        )
