"""Batches: many requests in one file, run while the server is otherwise idle. Knows nothing of where they are stored.

A batch is `validating`, `in_progress`, `finalizing`, and ends as `completed`, `failed`, `expired` or, after
`cancelling`, as `cancelled`. Each of its lines has exactly one result: an answer, or an error.
"""

import msgspec

ENDED = ("completed", "failed", "expired", "cancelled")
OUTPUT = "batch_output"
"""The purpose of a batch's output files."""


class BatchError(msgspec.Struct, frozen=True, kw_only=True):
    """Why a batch as a whole failed. `line` counts from 1."""

    code: str
    message: str
    param: str | None = None
    line: int | None = None


class NewBatch(msgspec.Struct, frozen=True, kw_only=True):
    """A batch to create. `key`: id of the caller's stored key, empty without one; `keep_s`: as in `Batch`."""

    project: str
    key: str
    endpoint: str
    input_file_id: str
    metadata: dict[str, str] | None = None
    keep_s: int | None = None


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """A batch of a project, created with the stored key `key` (empty: without a key). Times are seconds since 1970.

    `model`: the model of all lines; None if they name several. `keep_s`: how long its files are kept; None: until they
    are deleted. `total` counts lines, `completed` and `failed` their results; the tokens are those of the answers.
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
        """Whether its status is final."""
        return self.status in ENDED


class LineResult(msgspec.Struct, frozen=True, kw_only=True):
    """The result of the line with this number. `text` is its line in the output file or the error file."""

    line: int
    text: str
    is_answer: bool
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0


class DispatchedResponse(msgspec.Struct, frozen=True, kw_only=True):
    """The server's own response to one request. `retry_after_s`: when to retry, if a retry can help."""

    status: int
    request_id: str
    body: bytes
    retry_after_s: float | None = None
    code: str | None = None
