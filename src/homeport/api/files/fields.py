"""Every field of the endpoints that keep files, and what is done with it. Knows nothing of values."""

from collections.abc import Mapping

from homeport.api.compatibility import FieldNote, FieldSupport

_S = FieldSupport.SERVED

_PURPOSE = FieldNote(
    "purpose",
    _S,
    "assistants, batch, evals, fine-tune, user_data or vision; the content is checked by it, line by line.",
)
_EXPIRY = (
    FieldNote("expires_after", _S, "Files for batches go after 30 days by themselves, others when they are deleted."),
    FieldNote("expires_after.anchor", _S, "created_at."),
    FieldNote("expires_after.seconds", _S, "3600 to 2592000."),
)

FIELDS: Mapping[str, tuple[FieldNote, ...]] = {
    "files": (FieldNote("file", _S, "512 MB at most, 200 MB for a batch; the limit is a setting."), _PURPOSE, *_EXPIRY),
    "uploads": (
        FieldNote("filename", _S, "Told again as it is."),
        _PURPOSE,
        FieldNote("bytes", _S, "8 GB at most, in parts of 64 MB; the parts must be as many together."),
        FieldNote("mime_type", _S, "Must fit the purpose: JSON Lines, or image/* for vision."),
        *_EXPIRY,
    ),
}
"""By endpoint. No model is asked, so these are no capabilities."""
