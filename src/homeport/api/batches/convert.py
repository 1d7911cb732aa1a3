"""From the body of a batch to the batch to create, checks included. Knows nothing of how batches run."""

from homeport.api.batches.render import WINDOW
from homeport.api.batches.schema import BatchBody
from homeport.api.files.convert import check_expiry
from homeport.api.request_context import Caller
from homeport.domain import validation
from homeport.domain.batches import NewBatch

ENDPOINTS = (
    "/v1/chat/completions",
    "/v1/responses",
    "/v1/messages",
    "/v1/completions",
    "/v1/edits",
    "/v1/embeddings",
    "/v1/moderations",
    "/v1/images/generations",
    "/v1/images/edits",
    "/v1/audio/music",
    "/v1/3d/generations",
)
"""The endpoints whose request and answer are JSON."""


def to_new_batch(body: BatchBody, caller: Caller) -> NewBatch:
    """Return the batch to create. Raises InvalidRequest naming the field.

    Azure's clients write endpoints without `/v1`, which is added.
    """
    endpoint = f"/v1{body.endpoint}" if f"/v1{body.endpoint}" in ENDPOINTS else body.endpoint
    validation.check_choice("endpoint", endpoint, ENDPOINTS)
    validation.check_choice("completion_window", body.completion_window, (WINDOW,))
    validation.check_metadata("metadata", body.metadata)
    check_expiry("output_expires_after", body.output_expires_after)
    return NewBatch(
        project=caller.project,
        key=caller.key_id,
        endpoint=endpoint,
        input_file_id=body.input_file_id,
        metadata=body.metadata,
        keep_s=body.output_expires_after.seconds if body.output_expires_after else None,
    )
