"""Errors in Anthropic's format: their status, type and body. Knows nothing of routes or of how errors arise."""

import re

from homeport.api import json_codec
from homeport.api.error_responses import STATUS
from homeport.domain.errors import ContextOverflow, HomeportError, Overloaded, excerpt

OVERLOADED = 529
"""Anthropic's status of a server whose queue is full."""

_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    413: "request_too_large",
    429: "rate_limit_error",
    OVERLOADED: "overloaded_error",
}
_SIZES = re.compile(r"maximum context length is (\d+) tokens\D+(\d+) tokens")


def error_status(error: HomeportError) -> int:
    """Return the HTTP status of an error."""
    return OVERLOADED if isinstance(error, Overloaded) else STATUS[type(error)].status


def error_body(error: HomeportError, request_id: str) -> bytes:
    """Return the body of an error. Its text names the field at fault; its code, if it has one, is among the details."""
    status = error_status(error)
    kind = _TYPES.get(status, "invalid_request_error" if status < 500 else "api_error")
    fields: dict[str, object] = {"type": kind, "message": _message(error)}
    if error.code is not None:
        fields["details"] = {"error_code": error.code}
    return json_codec.encode({"type": "error", "error": fields, "request_id": request_id})


def _message(error: HomeportError) -> str:
    """Return the text of an error. There is no field for its parameter, so the text names it.

    Clients find prompts that are too long by Anthropic's words for them, and shorten the conversation.
    """
    message = error.message
    if isinstance(error, ContextOverflow):
        sizes = _SIZES.search(message)
        counted = f"prompt is too long: {sizes[2]} tokens > {sizes[1]} maximum. " if sizes else "prompt is too long. "
        return f"{counted}{message}"
    root = re.split(r"[.\[]", error.param or "")[0]
    return f"{excerpt(error.param, 200)}: {message}" if error.param and root not in message else message
