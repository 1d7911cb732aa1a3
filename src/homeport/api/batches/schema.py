"""The body of a batch."""

from typing import Annotated

import msgspec

from homeport.api.compatibility import served
from homeport.api.files.schema import ExpiresAfter


class BatchBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The body that creates a batch."""

    input_file_id: Annotated[str, served("A file with purpose `batch`; at most 50,000 lines and 200 MB.")]
    endpoint: Annotated[
        str, served("Any endpoint that accepts and returns JSON: chat, responses, completions, edits, embeddings, …")
    ]
    completion_window: Annotated[
        str, served("24h; requests not finished by then are in the error file as `batch_expired`.")
    ]
    metadata: Annotated[dict[str, str] | None, served("Up to 16 pairs; returned unchanged.")] = None
    output_expires_after: Annotated[ExpiresAfter | None, served("Default: output files never expire.")] = None
