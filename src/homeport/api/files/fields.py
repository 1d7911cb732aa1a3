"""Every field of the endpoints that keep files, and what is done with it. Knows nothing of values."""

from collections.abc import Mapping

from homeport.api.compatibility import Field, Status

_S = Status.SERVED

_PURPOSE = Field(
    "purpose",
    _S,
    "assistants, batch, evals, fine-tune, user_data or vision; the content is checked by it, line by line.",
)
_EXPIRY = (
    Field("expires_after", _S, "Files for batches go after 30 days by themselves, others when they are deleted."),
    Field("expires_after.anchor", _S, "created_at."),
    Field("expires_after.seconds", _S, "3600 to 2592000."),
)

FIELDS: Mapping[str, tuple[Field, ...]] = {
    "files": (Field("file", _S, "512 MB at most, 200 MB for a batch; the limit is a setting."), _PURPOSE, *_EXPIRY),
    "uploads": (
        Field("filename", _S, "Told again as it is."),
        _PURPOSE,
        Field("bytes", _S, "8 GB at most, in parts of 64 MB; the parts must be as many together."),
        Field("mime_type", _S, "Must fit the purpose: JSON Lines, or image/* for vision."),
        *_EXPIRY,
    ),
}
"""By endpoint. No model is asked, so these are no capabilities."""
