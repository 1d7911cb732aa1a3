"""The result of a line, as it is written to a batch's files, and whether to retry first."""

import secrets
from typing import Any

import msgspec

from homeport.domain.batches import BatchError, DispatchedResponse, LineResult
from homeport.serving.background_requests import PREEMPTED_CODE
from homeport.serving.batches.input_file import BatchLine

MAX_ATTEMPTS = 5
_DISK_FULL_RETRY_S = 10.0
_GOOD = range(200, 300)
_FULL, _BUSY, _BROKEN = 507, (429, 529), (500, 503)


class _Response(msgspec.Struct):
    status_code: int
    request_id: str
    body: msgspec.Raw


class _Error(msgspec.Struct):
    code: str
    message: str


class _ResultLine(msgspec.Struct):
    id: str
    custom_id: str | None
    response: _Response | None
    error: _Error | None


class _Usage(msgspec.Struct):
    """The token counts of a response, under the names of text, of images, or of messages.

    The `input_tokens` of messages are those that were not read from the cache.
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    prompt_tokens_details: dict[str, Any] | None = None
    input_tokens_details: dict[str, Any] | None = None
    cache_read_input_tokens: int = 0


class _Answer(msgspec.Struct):
    usage: _Usage | None = None


def wait_s(response: DispatchedResponse, n_attempts: int, left_s: float) -> float | None:
    """Return how long to wait before a line is retried; None: the response is final.

    `n_attempts`: how often the model has failed. `left_s`: the time until the batch expires.
    """
    if response.code == PREEMPTED_CODE:
        return 0.0
    if response.status == _FULL:
        return _DISK_FULL_RETRY_S
    if response.status in _BUSY:
        return (
            response.retry_after_s if response.retry_after_s is not None and response.retry_after_s < left_s else None
        )
    if response.status in _BROKEN and n_attempts < MAX_ATTEMPTS:
        return max(response.retry_after_s or 0.0, float(2**n_attempts))
    return None


def counts_as_attempt(response: DispatchedResponse) -> bool:
    """Return whether a response reports a fault, not only a busy server."""
    return response.status in _BROKEN and response.code != PREEMPTED_CODE


def response_result(line: BatchLine, response: DispatchedResponse) -> LineResult:
    """Return the result of a line that the server answered, with success or an error."""
    body = _Response(response.status, response.request_id, msgspec.Raw(response.body))
    text = _encode_line(_ResultLine(_fresh_id(), line.custom_id, body, None))
    if response.status not in _GOOD:
        return LineResult(line=line.number, text=text, is_answer=False)
    usage = _usage(response.body)
    details = usage.prompt_tokens_details or usage.input_tokens_details or {}
    return LineResult(
        line=line.number,
        text=text,
        is_answer=True,
        input_tokens=usage.prompt_tokens or usage.input_tokens + usage.cache_read_input_tokens,
        cached_tokens=details.get("cached_tokens") or usage.cache_read_input_tokens,
        output_tokens=usage.completion_tokens or usage.output_tokens,
    )


def rejected_result(line: BatchLine, error: BatchError) -> LineResult:
    """Return the result of an invalid line. The message names its number, because it may have no `custom_id`."""
    return _error_result(line, error.code, f"Line {line.number}: {error.message}")


def expired_result(line: BatchLine) -> LineResult:
    """Return the result of a line that did not run in time."""
    return _error_result(
        line, "batch_expired", "This request could not be executed before the completion window expired."
    )


def _error_result(line: BatchLine, code: str, message: str) -> LineResult:
    text = _encode_line(_ResultLine(_fresh_id(), line.custom_id, None, _Error(code, message)))
    return LineResult(line=line.number, text=text, is_answer=False)


def _usage(body: bytes) -> _Usage:
    try:
        return msgspec.json.decode(body, type=_Answer).usage or _Usage()
    except msgspec.DecodeError:
        return _Usage()


def _encode_line(text: _ResultLine) -> str:
    # A body may span several lines; here it must not.
    return msgspec.json.format(msgspec.json.encode(text), indent=-1).decode()


def _fresh_id() -> str:
    return f"batch_req_{secrets.token_hex(12)}"
