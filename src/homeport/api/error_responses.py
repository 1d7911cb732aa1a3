"""Errors as OpenAI's clients expect them: the status code of each error class, and the format of the body.

`STATUS` has every class of `domain.errors`.
"""

import errno
import math
from collections.abc import Mapping
from typing import NamedTuple

import msgspec
from starlette.responses import Response

from homeport.api import json_codec
from homeport.domain.errors import (
    Conflict,
    ContextOverflow,
    EngineFailed,
    ExtraNotInstalled,
    Forbidden,
    HeadTooLarge,
    HomeportError,
    InvalidRequest,
    MethodNotAllowed,
    ModelNotFound,
    NotFound,
    Overloaded,
    PayloadTooLarge,
    QuotaExceeded,
    RateLimited,
    StorageFull,
    TargetTooLong,
    ToolServerFailed,
    TooSlow,
    Unauthenticated,
    Unavailable,
    UnsupportedMediaType,
)
from homeport.formats import durable_files

DEFAULT_RETRY_S = 1.0
_NO_FILES = (errno.EMFILE, errno.ENFILE)


class ErrorStatus(NamedTuple):
    """The HTTP status of an error class, OpenAI's `type`, and whether a retry can succeed."""

    status: int
    type: str
    can_retry: bool = False


STATUS: Mapping[type[HomeportError], ErrorStatus] = {
    HomeportError: ErrorStatus(500, "server_error", can_retry=True),
    InvalidRequest: ErrorStatus(400, "invalid_request_error"),
    ContextOverflow: ErrorStatus(400, "invalid_request_error"),
    Unauthenticated: ErrorStatus(401, "invalid_request_error"),
    Forbidden: ErrorStatus(403, "invalid_request_error"),
    NotFound: ErrorStatus(404, "invalid_request_error"),
    ModelNotFound: ErrorStatus(404, "invalid_request_error"),
    MethodNotAllowed: ErrorStatus(405, "invalid_request_error"),
    Conflict: ErrorStatus(409, "invalid_request_error", can_retry=True),
    TooSlow: ErrorStatus(408, "invalid_request_error"),
    PayloadTooLarge: ErrorStatus(413, "invalid_request_error"),
    TargetTooLong: ErrorStatus(414, "invalid_request_error"),
    HeadTooLarge: ErrorStatus(431, "invalid_request_error"),
    UnsupportedMediaType: ErrorStatus(415, "invalid_request_error"),
    ToolServerFailed: ErrorStatus(424, "external_connector_error"),
    StorageFull: ErrorStatus(507, "server_error"),
    RateLimited: ErrorStatus(429, "rate_limit_exceeded", can_retry=True),
    QuotaExceeded: ErrorStatus(429, "insufficient_quota"),
    Overloaded: ErrorStatus(429, "server_overloaded", can_retry=True),
    EngineFailed: ErrorStatus(500, "server_error", can_retry=True),
    Unavailable: ErrorStatus(503, "server_error", can_retry=True),
    ExtraNotInstalled: ErrorStatus(501, "server_error"),
}


_CLASSES: Mapping[tuple[int, str], type[HomeportError]] = {
    (each.status, each.type): kind for kind, each in reversed(tuple(STATUS.items()))
}
"""The class of each status and type; of several, the one that `STATUS` has first, which is the most general."""


class _ErrorFields(msgspec.Struct):
    """The error in a response's body."""

    message: str = ""
    type: str = ""
    param: str | None = None
    code: str | None = None


class _Envelope(msgspec.Struct):
    error: _ErrorFields


def error_from_response(status: int, body: bytes, retry_after: str | None = None) -> HomeportError:
    """Return the error that one of this server's own responses describes: the reverse of `error_response`.

    `retry_after`: the header of this name. A body that is not an envelope becomes an EngineFailed.
    """
    try:
        fields = msgspec.json.decode(body, type=_Envelope).error
    except msgspec.DecodeError:
        return EngineFailed("The server had an error while it answered.")
    kind = _CLASSES.get((status, fields.type), EngineFailed)
    retry_after_s = float(retry_after) if retry_after and retry_after.isdecimal() else None
    return kind(fields.message, param=fields.param, code=fields.code, retry_after_s=retry_after_s)


def error_to_report(error: BaseException) -> HomeportError | None:
    """Return the error to report to the caller; None for an unexpected one.

    A full disk, and too many open files, are reported in one way, whatever the request was writing.
    """
    if isinstance(error, HomeportError):
        return error
    if not isinstance(error, OSError):
        return None
    if error.errno in durable_files.DISK_FULL_ERRNOS:
        return StorageFull("The disk is full, and this request needs to write to it.")
    if error.errno in _NO_FILES:
        return Unavailable("The server has too many files and connections open.", code="too_many_open_files")
    return None


def envelope(error: HomeportError) -> bytes:
    """Return OpenAI's error body. It always has all four fields; `code` is a string or null."""
    return json_codec.encode(
        {
            "error": {
                "message": error.message,
                "type": STATUS[type(error)].type,
                "param": error.param,
                "code": error.code,
            }
        }
    )


def error_response(error: HomeportError, headers: Mapping[str, str] | None = None) -> Response:
    """Return the response to an error: its status, `error_headers`, and OpenAI's body."""
    return Response(
        envelope(error), STATUS[type(error)].status, error_headers(error, headers), media_type="application/json"
    )


def error_headers(error: HomeportError, headers: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the headers of the response to an error, in addition to `headers`.

    `x-should-retry: false` keeps official clients from retries that cannot succeed soon. A 429 or 503 that can be
    retried, and an exceeded quota, say when in `Retry-After` (whole seconds, at least 1).
    """
    status, _, can_retry = STATUS[type(error)]
    all_headers = dict(headers or {})
    if not can_retry:
        all_headers["x-should-retry"] = "false"
    if error.retry_after_s is not None or (can_retry and status in (429, 503)):
        all_headers["retry-after"] = str(max(1, math.ceil(error.retry_after_s or DEFAULT_RETRY_S)))
    return all_headers
