"""Errors as OpenAI's clients expect them: one table from the error tree to status codes, one envelope.

Knows nothing of routes or of what went wrong inside. Every class of `domain.errors` stands in `STATUS`.
"""

import errno
import math
from collections.abc import Mapping
from typing import NamedTuple

from starlette.responses import Response

from homeport.api import json_codec
from homeport.domain.errors import (
    ContextOverflow,
    EngineFailed,
    ExtraMissing,
    Forbidden,
    HeadTooLarge,
    HomeportError,
    InvalidRequest,
    MethodRefused,
    Missing,
    ModelMissing,
    Overloaded,
    QuotaSpent,
    RateLimited,
    StorageFull,
    TargetTooLong,
    TooLarge,
    TooSlow,
    Unauthenticated,
    Unavailable,
    UnsupportedMedia,
)
from homeport.formats import durable_files

DEFAULT_RETRY_S = 1.0
_NO_FILES = (errno.EMFILE, errno.ENFILE)


class Standing(NamedTuple):
    """How one class of error looks on the wire: status code, OpenAI's `type`, and whether a retry can help."""

    status: int
    type: str
    can_retry: bool = False


STATUS: Mapping[type[HomeportError], Standing] = {
    HomeportError: Standing(500, "server_error", can_retry=True),
    InvalidRequest: Standing(400, "invalid_request_error"),
    ContextOverflow: Standing(400, "invalid_request_error"),
    Unauthenticated: Standing(401, "invalid_request_error"),
    Forbidden: Standing(403, "invalid_request_error"),
    Missing: Standing(404, "invalid_request_error"),
    ModelMissing: Standing(404, "invalid_request_error"),
    MethodRefused: Standing(405, "invalid_request_error"),
    TooSlow: Standing(408, "invalid_request_error"),
    TooLarge: Standing(413, "invalid_request_error"),
    TargetTooLong: Standing(414, "invalid_request_error"),
    HeadTooLarge: Standing(431, "invalid_request_error"),
    UnsupportedMedia: Standing(415, "invalid_request_error"),
    StorageFull: Standing(507, "server_error"),
    RateLimited: Standing(429, "rate_limit_exceeded", can_retry=True),
    QuotaSpent: Standing(429, "insufficient_quota"),
    Overloaded: Standing(429, "server_overloaded", can_retry=True),
    EngineFailed: Standing(500, "server_error", can_retry=True),
    Unavailable: Standing(503, "server_error", can_retry=True),
    ExtraMissing: Standing(501, "server_error"),
}


def foreseen(error: BaseException) -> HomeportError | None:
    """An error as callers may see it: one of the tree as it is, a machine out of room as what it is; None otherwise.

    Whatever is written while a request is served may meet a full disk: it is told in one way, here.
    """
    if isinstance(error, HomeportError):
        return error
    if not isinstance(error, OSError):
        return None
    if error.errno in durable_files.FULL:
        return StorageFull("The disk is full, and this request needs to write to it.")
    if error.errno in _NO_FILES:
        return Unavailable("The server has too many files and connections open.", code="too_many_open_files")
    return None


def envelope(error: HomeportError) -> bytes:
    """OpenAI's error body. All four fields are always there; `code` is a string or null."""
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
    """The whole answer for an error.

    `x-should-retry: false` stops the official clients from repeating what cannot succeed soon; a 429 or 503 that can
    says when in `Retry-After` (whole seconds, at least 1), and so does a spent quota.
    """
    status, _, can_retry = STATUS[type(error)]
    said = dict(headers or {})
    if not can_retry:
        said["x-should-retry"] = "false"
    if error.retry_after_s is not None or (can_retry and status in (429, 503)):
        said["retry-after"] = str(max(1, math.ceil(error.retry_after_s or DEFAULT_RETRY_S)))
    return Response(envelope(error), status, said, media_type="application/json")
