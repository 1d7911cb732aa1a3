"""The body of a batch and its checks. Knows nothing of how batches run."""

from typing import Annotated

import msgspec

from homeport.api import validation
from homeport.api.compatibility import served
from homeport.api.files.schema import ExpiresAfter

ENDPOINTS = (
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/edits",
    "/v1/embeddings",
    "/v1/moderations",
    "/v1/images/generations",
    "/v1/images/edits",
)
"""The endpoints that take and return JSON."""
WINDOW = "24h"


class BatchBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The body that creates a batch."""

    input_file_id: Annotated[str, served("A file with purpose `batch`; at most 50,000 lines and 200 MB.")]
    endpoint: Annotated[
        str, served("Any endpoint that takes and returns JSON: chat, completions, edits, embeddings, …")
    ]
    completion_window: Annotated[
        str, served("24h; requests not finished by then are in the error file as `batch_expired`.")
    ]
    metadata: Annotated[dict[str, str] | None, served("Up to 16 pairs; returned unchanged.")] = None
    output_expires_after: Annotated[ExpiresAfter | None, served("Default: output files never expire.")] = None

    def check(self) -> None:
        """Check the values. Raises InvalidRequest that names the field.

        Azure's clients send the endpoint without `/v1`: it is added.
        """
        if f"/v1{self.endpoint}" in ENDPOINTS:
            self.endpoint = f"/v1{self.endpoint}"
        validation.check_choice("endpoint", self.endpoint, ENDPOINTS)
        validation.check_choice("completion_window", self.completion_window, (WINDOW,))
        validation.check_metadata("metadata", self.metadata)
        if self.output_expires_after is not None:
            self.output_expires_after.check("output_expires_after")
