"""Everything that can go wrong, as one tree.

Knows nothing of HTTP: `api` maps each class to a status code in one table, and a test walks this tree
and fails on a class that table lacks. Errors cross process links as `ErrorInfo` values.

    HomeportError
    ├── InvalidRequest ── ContextOverflow
    ├── Unauthenticated
    ├── Forbidden
    ├── Missing ── ModelNotFound
    ├── MethodNotAllowed
    ├── TooSlow
    ├── PayloadTooLarge ── HeadTooLarge, TargetTooLong
    ├── UnsupportedMediaType
    ├── StorageFull
    ├── RateLimited ── QuotaExceeded, Overloaded
    ├── EngineFailed
    └── Unavailable ── ExtraNotInstalled
"""

from typing import Self

import msgspec

EXCERPT_CHARS = 200
MESSAGE_CHARS = 2000


def excerpt(text: str, most: int = EXCERPT_CHARS) -> str:
    """What an error message may repeat of what was sent: at most `most` characters."""
    return text if len(text) <= most else text[: most - 1] + "…"


class ErrorInfo(msgspec.Struct, frozen=True, array_like=True):
    """An error as a value, to cross a process link or to stand in a stream."""

    kind: str
    message: str
    param: str | None = None
    code: str | None = None
    retry_after_s: float | None = None


class HomeportError(Exception):
    """Any failure a caller may see.

    `message` is for people, `param` names the field at fault, `code` is for programs. What a message repeats of a
    request goes through `excerpt`; the limits here only keep one that was forgotten from filling an answer or a log.
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
        """Every class of the tree from here down, by name."""
        found = {cls.__name__: cls}
        for child in cls.__subclasses__():
            found.update(child.kinds())
        return found


class InvalidRequest(HomeportError):
    """The request itself is wrong; sending it again unchanged cannot help."""


class ContextOverflow(InvalidRequest):
    """Prompt plus answer do not fit the model's window."""

    default_code = "context_length_exceeded"


class Unauthenticated(HomeportError):
    """No key, or a key nobody issued."""

    default_code = "invalid_api_key"


class Forbidden(HomeportError):
    """The caller is known and may not do this."""


class NotFound(HomeportError):
    """The thing named does not exist for this caller."""


class ModelNotFound(NotFound):
    """No installed model or alias has this name."""

    default_code = "model_not_found"


class MethodNotAllowed(HomeportError):
    """The path exists, the HTTP method does not apply to it."""


class PayloadTooLarge(HomeportError):
    """The body or a file is over its limit."""


class HeadTooLarge(PayloadTooLarge):
    """The head of a request is over its limit, in bytes or in headers."""

    default_code = "headers_too_large"


class TargetTooLong(PayloadTooLarge):
    """The first line of a request, which holds its URL, is over its limit."""

    default_code = "url_too_long"


class TooSlow(HomeportError):
    """The request came in more slowly than is waited for."""

    default_code = "request_timeout"


class UnsupportedMediaType(HomeportError):
    """The body's content type is not one this path reads."""


class StorageFull(HomeportError):
    """The disk has no room left; nothing of the request was kept."""

    default_code = "storage_full"


class RateLimited(HomeportError):
    """The caller went over a limit; `retry_after_s` says when to come back."""

    default_code = "rate_limit_exceeded"


class QuotaExceeded(RateLimited):
    """The caller's budget is used up; retrying does not help."""

    default_code = "insufficient_quota"


class Overloaded(RateLimited):
    """The server's own queue is full; refused before any work was done."""

    default_code = "server_overloaded"


class EngineFailed(HomeportError):
    """The engine broke while it worked on this request."""


class Unavailable(HomeportError):
    """Cannot be served now: a model does not load, memory is short, or the server is draining."""


class ExtraNotInstalled(Unavailable):
    """This installation lacks the optional part that this needs; the message says what to install."""

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
