"""The body of a batch and its checks. Knows nothing of how batches run."""

from typing import Annotated

import msgspec

from homeport.api import validation
from homeport.api.compatibility import served
from homeport.api.files.schema import MAX_EXPIRY_S, MIN_EXPIRY_S

ENDPOINTS = (
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/edits",
    "/v1/embeddings",
    "/v1/moderations",
    "/v1/images/generations",
    "/v1/images/edits",
)
"""What takes JSON and gives JSON."""
WINDOW = "24h"


class OutputExpiresAfter(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """When the files that are made are to go by themselves."""

    anchor: Annotated[str, served("created_at.")]
    seconds: Annotated[int, served("3600 to 2592000.")]


class BatchBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The body that makes a batch."""

    input_file_id: Annotated[str, served("A file sent for `batch`; 50,000 lines and 200 MB at most.")]
    endpoint: Annotated[str, served("Any that takes JSON and gives JSON: chat, completions, edits, embeddings, …")]
    completion_window: Annotated[str, served("24h; what is not done by then is in the error file as `batch_expired`.")]
    metadata: Annotated[dict[str, str] | None, served("16 pairs; told again as they are.")] = None
    output_expires_after: Annotated[
        OutputExpiresAfter | None, served("The files made are kept until they are deleted unless this says otherwise.")
    ] = None

    def check(self) -> None:
        """Check the values. Raises InvalidRequest naming the field.

        Azure writes endpoints without `/v1`: they are taken, and told with it.
        """
        if f"/v1{self.endpoint}" in ENDPOINTS:
            self.endpoint = f"/v1{self.endpoint}"
        validation.check_choice("endpoint", self.endpoint, ENDPOINTS)
        validation.check_choice("completion_window", self.completion_window, (WINDOW,))
        validation.check_metadata("metadata", self.metadata)
        if self.output_expires_after is not None:
            validation.check_choice("output_expires_after.anchor", self.output_expires_after.anchor, ("created_at",))
            validation.check_integer(
                "output_expires_after.seconds", self.output_expires_after.seconds, MIN_EXPIRY_S, MAX_EXPIRY_S
            )
