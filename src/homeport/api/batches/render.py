"""The JSON of a batch. Knows nothing of requests."""

import msgspec

from homeport.api.paging import ListBody
from homeport.domain.batches import Batch

WINDOW = "24h"


class RequestCounts(msgspec.Struct, kw_only=True):
    """The numbers of a batch's lines."""

    total: int
    completed: int
    failed: int


class InputTokensDetails(msgspec.Struct, kw_only=True):
    """The prompt tokens that were found in the prefix cache."""

    cached_tokens: int


class OutputTokensDetails(msgspec.Struct, kw_only=True):
    """The tokens of reasoning, which are not counted."""

    reasoning_tokens: int = 0


class BatchUsage(msgspec.Struct, kw_only=True):
    """The tokens of all answers."""

    input_tokens: int
    input_tokens_details: InputTokensDetails
    output_tokens: int
    output_tokens_details: OutputTokensDetails
    total_tokens: int


class BatchObject(msgspec.Struct, kw_only=True):
    """A batch. `errors`: a list of `BatchError`."""

    id: str
    object: str = "batch"
    endpoint: str
    model: str | None
    errors: ListBody | None
    input_file_id: str
    completion_window: str = WINDOW
    status: str
    output_file_id: str | None
    error_file_id: str | None
    created_at: int
    in_progress_at: int | None
    expires_at: int
    finalizing_at: int | None
    completed_at: int | None
    failed_at: int | None
    expired_at: int | None
    cancelling_at: int | None
    cancelled_at: int | None
    request_counts: RequestCounts
    usage: BatchUsage
    metadata: dict[str, str] | None


def render_batch(batch: Batch) -> BatchObject:
    """Render a batch."""
    return BatchObject(
        id=batch.id,
        endpoint=batch.endpoint,
        model=batch.model,
        errors=ListBody(data=batch.errors) if batch.errors else None,
        input_file_id=batch.input_file_id,
        status=batch.status,
        output_file_id=batch.output_file_id,
        error_file_id=batch.error_file_id,
        created_at=batch.created_at,
        in_progress_at=batch.in_progress_at,
        expires_at=batch.expires_at,
        finalizing_at=batch.finalizing_at,
        completed_at=batch.completed_at,
        failed_at=batch.failed_at,
        expired_at=batch.expired_at,
        cancelling_at=batch.cancelling_at,
        cancelled_at=batch.cancelled_at,
        request_counts=RequestCounts(total=batch.total, completed=batch.completed, failed=batch.failed),
        usage=BatchUsage(
            input_tokens=batch.input_tokens,
            input_tokens_details=InputTokensDetails(cached_tokens=batch.cached_tokens),
            output_tokens=batch.output_tokens,
            output_tokens_details=OutputTokensDetails(),
            total_tokens=batch.input_tokens + batch.output_tokens,
        ),
        metadata=batch.metadata,
    )
