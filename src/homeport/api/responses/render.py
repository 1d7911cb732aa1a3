"""The JSON of a response at its end: usage, status, and why it failed. Knows nothing of items or events."""

from collections.abc import Sequence

import msgspec

from homeport.api import json_codec
from homeport.api.responses.response_object import (
    IncompleteDetails,
    InputTokenDetails,
    OutputTokenDetails,
    ResponseError,
    ResponseObject,
    ResponseUsage,
)
from homeport.api.text_generation.render import with_limit
from homeport.domain.errors import HomeportError, InvalidRequest, RateLimited
from homeport.domain.events import Usage
from homeport.domain.responses import Item

LENGTH = "max_output_tokens"
"""The reason of a response that ends before its end."""


def to_usage(usage: Usage) -> ResponseUsage:
    """Render what a response cost."""
    return ResponseUsage(
        usage.prompt_tokens,
        InputTokenDetails(usage.cached_tokens),
        usage.completion_tokens,
        OutputTokenDetails(usage.reasoning_tokens),
        usage.prompt_tokens + usage.completion_tokens,
    )


def to_finished(base: ResponseObject, reason: str | None, usage: Usage, now: float, limited_by: str) -> ResponseObject:
    """Return a response at its end, without output. `reason`: the finish reason of its only choice.

    `limited_by`: the limit of the key that ended it; empty: none.
    """
    is_cut = reason == "length"
    finished = msgspec.structs.replace(
        base,
        status="incomplete" if is_cut else "completed",
        completed_at=None if is_cut else int(now),
        incomplete_details=IncompleteDetails(LENGTH) if is_cut else None,
        usage=to_usage(usage),
    )
    return with_limit(finished, limited_by)


def to_failed(base: ResponseObject, error: HomeportError, usage: Usage) -> ResponseObject:
    """Return a response that an error ended, without output."""
    code = "server_error"
    if isinstance(error, RateLimited):
        code = "rate_limit_exceeded"
    elif isinstance(error, InvalidRequest):
        code = "invalid_prompt"
    return msgspec.structs.replace(
        base, status="failed", error=ResponseError(code, error.message), usage=to_usage(usage)
    )


def with_output(response: ResponseObject, items: Sequence[Item]) -> ResponseObject:
    """Return a response with its items, whose JSON is not encoded again."""
    return msgspec.structs.replace(response, output=[msgspec.Raw(item.body.encode()) for item in items])


def encode(response: ResponseObject) -> str:
    """Return the JSON of a response."""
    return json_codec.encode(response).decode()
