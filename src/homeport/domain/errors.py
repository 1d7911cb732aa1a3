"""Everything that can go wrong, as one tree.

Knows nothing of HTTP: `api` maps each class to a status code in one table, and a test walks this tree
and fails on a class that table lacks. Errors cross process links as `ErrorInfo` values.

    HomeportError
    ├── InvalidRequest ── ContextOverflow
    ├── Unauthenticated
    ├── Forbidden
    ├── NotFound ── ModelNotFound
    ├── MethodNotAllowed
    ├── Conflict
    ├── TooSlow
    ├── PayloadTooLarge ── HeadTooLarge, TargetTooLong
    ├── UnsupportedMediaType
    ├── StorageFull
    ├── RateLimited ── QuotaExceeded, Overloaded
    ├── EngineFailed
    ├── ToolServerFailed
    └── Unavailable ── ExtraNotInstalled
"""

from typing import Self

import msgspec

EXCERPT_CHARS = 200
MESSAGE_CHARS = 2000


def excerpt(text: str, most: int = EXCERPT_CHARS) -> str:
    """Shorten text that an error message repeats from a request to at most `most` characters."""
    return text if len(text) <= most else text[: most - 1] + "…"


class ErrorInfo(msgspec.Struct, frozen=True, array_like=True):
    """An error as a value, to cross a process link or to be stored."""

    kind: str
    message: str
    param: str | None = None
    code: str | None = None
    retry_after_s: float | None = None


class HomeportError(Exception):
    """Any failure that a caller may see.

    `message` is for people, `code` is for programs, `param` names the field at fault. Text that a message repeats from
    a request goes through `excerpt`; the limits here are a second line of defense, so that no message fills a response
    or a log.
    """

    default_code: str | None = None

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        self.message = excerpt(message, MESSAGE_CHARS)
        super().__init__(self.message)
        self.param = None if param is None else excerpt(param)
        self.code = code if code is not None else self.default_code
        self.retry_after_s = retry_after_s

    @property
    def info(self) -> ErrorInfo:
        """This error as a value that can cross a process link."""
        return ErrorInfo(type(self).__name__, self.message, self.param, self.code, self.retry_after_s)

    @classmethod
    def kinds(cls) -> dict[str, type[Self]]:
        """Return this class and all its subclasses, by name."""
        classes = {cls.__name__: cls}
        for child in cls.__subclasses__():
            classes.update(child.kinds())
        return classes


class InvalidRequest(HomeportError):
    """The request itself is wrong; sending it again unchanged cannot succeed."""


class ContextOverflow(InvalidRequest):
    """Prompt plus answer exceed the model's window."""

    default_code = "context_length_exceeded"


class Unauthenticated(HomeportError):
    """No key, or an unknown one."""

    default_code = "invalid_api_key"


class Forbidden(HomeportError):
    """The caller is known and may not do this."""


class NotFound(HomeportError):
    """The thing named does not exist for this caller."""


class ModelNotFound(NotFound):
    """No installed model or alias has this name."""

    default_code = "model_not_found"


class MethodNotAllowed(HomeportError):
    """The path exists, but not for this HTTP method."""


class Conflict(HomeportError):
    """Another request changes the same thing now; sending this one again later can succeed."""


class PayloadTooLarge(HomeportError):
    """The body or a file is over its limit."""


class HeadTooLarge(PayloadTooLarge):
    """The head of a request is over its limit, in bytes or in headers."""

    default_code = "headers_too_large"


class TargetTooLong(PayloadTooLarge):
    """The first line of a request, which holds its URL, is over its limit."""

    default_code = "url_too_long"


class TooSlow(HomeportError):
    """The request arrived more slowly than the server waits."""

    default_code = "request_timeout"


class UnsupportedMediaType(HomeportError):
    """This path does not accept the body's content type."""


class StorageFull(HomeportError):
    """The disk is full; nothing of the request was stored."""

    default_code = "storage_full"


class RateLimited(HomeportError):
    """The caller exceeded a limit; `retry_after_s` is when to retry."""

    default_code = "rate_limit_exceeded"


class QuotaExceeded(RateLimited):
    """The caller's budget is used up; retrying cannot succeed."""

    default_code = "insufficient_quota"


class Overloaded(RateLimited):
    """The server's own queue is full; the request was refused before any work."""

    default_code = "server_overloaded"


class EngineFailed(HomeportError):
    """The engine failed while it worked on this request."""


class ToolServerFailed(HomeportError):
    """A server of tools that the caller named cannot be used; nothing of the request was computed."""


class Unavailable(HomeportError):
    """The server cannot serve this now: a model does not load, memory is short, or the server is draining."""


class ExtraNotInstalled(Unavailable):
    """This installation lacks an optional dependency; the message names what to install."""

    default_code = "missing_extra"


_FORMER_NAMES = {
    "ExtraMissing": "ExtraNotInstalled",
    "MethodRefused": "MethodNotAllowed",
    "Missing": "NotFound",
    "ModelMissing": "ModelNotFound",
    "QuotaSpent": "QuotaExceeded",
    "TooLarge": "PayloadTooLarge",
    "UnsupportedMedia": "UnsupportedMediaType",
}
"""Class names that databases written before version 0.2.0 store as `ErrorInfo.kind`."""


def error_from_info(fault: ErrorInfo) -> HomeportError:
    """Return the error that an `ErrorInfo` describes. An unknown kind becomes `EngineFailed`."""
    kind = HomeportError.kinds().get(_FORMER_NAMES.get(fault.kind, fault.kind), EngineFailed)
    return kind(fault.message, param=fault.param, code=fault.code, retry_after_s=fault.retry_after_s)
