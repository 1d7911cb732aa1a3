"""The outermost ASGI middleware: adds OpenAI's headers and those for browsers to every response, logs and counts it.

Responses of `/v1/messages` have Anthropic's headers, too.

It never reads a body, so neither prompts nor keys reach the log.
"""

import logging
import math
import re

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from homeport.api.access_policy import is_administrative
from homeport.api.error_formats import formatted_error, is_messages_path
from homeport.api.messages.errors import OVERLOADED
from homeport.api.messages.headers import message_headers
from homeport.api.metrics import Metrics
from homeport.api.page.page_files import PAGE_FILE_ROUTE
from homeport.api.request_context import RequestContext, refusal_of, start_context

VERSION = "2020-10-01"

_log = logging.getLogger("homeport.access")
_VALID_ID = re.compile(r"[!-~]{1,128}")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_RATE_LIMITED = (429, OVERLOADED)
_FIRST_ERROR = 400
_DISCONNECTED = 499
"""The status in the log for a client that disconnected before its response; nothing is sent."""


def format_duration(seconds: float) -> str:
    """Format a duration as OpenAI does: `20ms`, `1.5s`, `6m0s`. It is rounded up, so no client retries too early."""
    thousandths = math.ceil(seconds * 1000)
    if thousandths < 1000:
        return f"{thousandths}ms" if thousandths else "0s"
    minutes, rest = divmod(thousandths, 60_000)
    return f"{minutes}m{rest / 1000:g}s" if minutes else f"{rest / 1000:g}s"


class HeadersMiddleware:
    """Middleware around all others. `organization`: the header `openai-organization`."""

    def __init__(self, app: ASGIApp, metrics: Metrics, organization: str) -> None:
        self._app = app
        self._metrics = metrics
        self._organization = organization

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        context = start_context(scope)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._add_headers(message, context)
                if is_messages_path(scope["path"]):
                    MutableHeaders(scope=message).update(message_headers(context))
            await send(message)

        refusal = refusal_of(scope)
        try:
            await (formatted_error(refusal, scope) if refusal else self._app)(scope, receive, send_with_headers)
        finally:
            self._record(scope, context)

    def _add_headers(self, message: Message, context: RequestContext) -> None:
        headers = MutableHeaders(scope=message)
        headers["x-request-id"] = context.id
        headers["x-content-type-options"] = "nosniff"
        headers["openai-processing-ms"] = str(int(context.elapsed_ms))
        headers["openai-version"] = VERSION
        headers["openai-organization"] = self._organization
        if is_administrative(context.route):
            headers.setdefault("cache-control", "no-store")
        message["headers"] += [
            (f"x-ratelimit-{what}-{name}".encode(), value.encode())
            for name, rate in context.rate_ticket.limit_status().items()
            for what, value in (
                ("limit", str(rate.limit)),
                ("remaining", str(rate.remaining)),
                ("reset", format_duration(rate.reset_s)),
            )
        ]
        if context.limited_by:
            headers["x-homeport-limited-by"] = context.limited_by
        context.status = message["status"]
        context.model = headers.get("x-homeport-model", "-")

    def _record(self, scope: Scope, context: RequestContext) -> None:
        method = scope["method"] if scope["method"] in _METHODS else "OTHER"
        status = context.status or _DISCONNECTED
        self._metrics.count_response(context.route, method, status)
        if status in _RATE_LIMITED and not context.is_background:
            self._metrics.count_rate_limited(context.caller.project, context.caller.key_id)
        client_id = Headers(scope=scope).get("x-client-request-id", "")
        # A visit to the page asks for a hundred files, which tell nobody anything.
        is_page_file = context.route == PAGE_FILE_ROUTE and status < _FIRST_ERROR
        _log.log(
            logging.DEBUG if is_page_file else logging.INFO,
            "request_id=%s client_request_id=%s method=%s path=%s status=%d ms=%.1f model=%s",
            context.id,
            client_id if _VALID_ID.fullmatch(client_id) else "-",
            method,
            context.route,
            status,
            context.elapsed_ms,
            context.model,
        )
