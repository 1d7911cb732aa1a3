"""The form of a file and its checks. Knows nothing of how files are stored."""

from typing import Annotated

import msgspec

from homeport.api import validation
from homeport.api.compatibility import served
from homeport.domain.files import PURPOSES

BATCH_BYTES = 200_000_000
BATCH_KEEP_S = 30 * 86_400
MIN_EXPIRY_S, MAX_EXPIRY_S = 3600, 30 * 86_400
_NAME_LENGTH = 512

FILES = {"file": served("At most 512 MB, which is a setting; for a batch, 200 MB.")}
"""The notes of the file fields of the form."""
PURPOSE = served(
    "assistants, batch, evals, fine-tune, user_data or vision; the content is checked for it, line by line."
)
EXPIRES_AFTER = served("Default: files for batches expire after 30 days, others never.")


class ExpiresAfter(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """When a file expires."""

    anchor: Annotated[str, served("created_at.")]
    seconds: Annotated[int, served("3600 to 2592000.")]

    def check(self, name: str) -> None:
        """Check the values. `name`: the field of the body that holds them. Raises InvalidRequest."""
        validation.check_choice(f"{name}.anchor", self.anchor, ("created_at",))
        validation.check_integer(f"{name}.seconds", self.seconds, MIN_EXPIRY_S, MAX_EXPIRY_S)


class FileForm(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The form of an uploaded file, without the file itself."""

    purpose: Annotated[str, PURPOSE]
    expires_after: Annotated[ExpiresAfter | None, EXPIRES_AFTER] = None


def check_purpose(purpose: str, expires_after: ExpiresAfter | None) -> int | None:
    """Check the fields of a file. Returns its lifetime in seconds, None if it never expires. Raises InvalidRequest."""
    validation.check_choice("purpose", purpose, PURPOSES)
    if expires_after is not None:
        expires_after.check("expires_after")
        return expires_after.seconds
    return BATCH_KEEP_S if purpose == "batch" else None


def check_name(filename: str) -> None:
    """Check a file's name, which is returned but never opened. Raises InvalidRequest."""
    validation.check_length("filename", filename, _NAME_LENGTH, 1)
