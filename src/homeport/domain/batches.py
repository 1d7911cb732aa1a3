"""Batches: many requests in one file, done in the gaps of other traffic. Knows nothing of where they are kept.

A batch goes `validating`, `in_progress`, `finalizing`, and ends as `completed`, `failed`, `expired` or, by way of
`cancelling`, as `cancelled`. Each of its lines comes to exactly one outcome: an answer, or what kept it from one.
"""

import msgspec

ENDED = ("completed", "failed", "expired", "cancelled")
OUTPUT = "batch_output"
"""The purpose of the files that a batch makes."""


class BatchError(msgspec.Struct, frozen=True, kw_only=True):
    """Why a batch as a whole was not done. `line` counts from 1."""

    code: str
    message: str
    param: str | None = None
    line: int | None = None


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """A batch of a project, made with the stored key `key` (empty: with none). Times are seconds since 1970.

    `model`: what all lines ask, None where they ask several. `keep_s`: how long its files are kept, None: until they
    are deleted. `total` counts lines, `completed` and `failed` their outcomes; the tokens are those of the answers.
    """

    id: str
    project: str
    key: str
    endpoint: str
    input_file_id: str
    status: str
    created_at: int
    expires_at: int
    model: str | None = None
    metadata: dict[str, str] | None = None
    keep_s: int | None = None
    errors: tuple[BatchError, ...] = ()
    output_file_id: str | None = None
    error_file_id: str | None = None
    in_progress_at: int | None = None
    finalizing_at: int | None = None
    completed_at: int | None = None
    failed_at: int | None = None
    expired_at: int | None = None
    cancelling_at: int | None = None
    cancelled_at: int | None = None
    total: int = 0
    completed: int = 0
    failed: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0

    @property
    def has_ended(self) -> bool:
        """Whether nothing will happen to it any more."""
        return self.status in ENDED


class LineResult(msgspec.Struct, frozen=True, kw_only=True):
    """What came of the line with this number. `text` is its line in the output file, or in that of errors."""

    line: int
    text: str
    is_answer: bool
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0


class DispatchedResponse(msgspec.Struct, frozen=True, kw_only=True):
    """The server's own answer to one request. `retry_after_s`: when to ask again, where that can help."""

    status: int
    request_id: str
    body: bytes
    retry_after_s: float | None = None
    code: str | None = None
