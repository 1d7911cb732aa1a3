"""Every field of what makes a batch, and what is done with it. Knows nothing of values."""

from collections.abc import Mapping

from homeport.api.compatibility import FieldNote, FieldSupport

_S = FieldSupport.SERVED

FIELDS: Mapping[str, tuple[FieldNote, ...]] = {
    "batches": (
        FieldNote("input_file_id", _S, "A file sent for `batch`; 50,000 lines and 200 MB at most."),
        FieldNote("endpoint", _S, "Any that takes JSON and gives JSON: chat, completions, edits, embeddings, …"),
        FieldNote("completion_window", _S, "24h; what is not done by then is in the error file as `batch_expired`."),
        FieldNote("metadata", _S, "16 pairs; told again as they are."),
        FieldNote(
            "output_expires_after", _S, "The files made are kept until they are deleted unless this says otherwise."
        ),
        FieldNote("output_expires_after.anchor", _S, "created_at."),
        FieldNote("output_expires_after.seconds", _S, "3600 to 2592000."),
    )
}
"""By endpoint. No model is asked, so these are no capabilities."""
