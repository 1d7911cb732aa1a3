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

FILES = {"file": served("512 MB at most, 200 MB for a batch; the limit is a setting.")}
"""The notes of the file fields of the form."""
PURPOSE = served(
    "assistants, batch, evals, fine-tune, user_data or vision; the content is checked by it, line by line."
)
EXPIRES_AFTER = served("Files for batches go after 30 days by themselves, others when they are deleted.")


class ExpiresAfter(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """When a file is to go by itself."""

    anchor: Annotated[str, served("created_at.")]
    seconds: Annotated[int, served("3600 to 2592000.")]

    def check(self) -> None:
        """Check the values. Raises InvalidRequest."""
        validation.check_choice("expires_after.anchor", self.anchor, ("created_at",))
        validation.check_integer("expires_after.seconds", self.seconds, MIN_EXPIRY_S, MAX_EXPIRY_S)


class FileForm(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The fields of a file sent, the file aside."""

    purpose: Annotated[str, PURPOSE]
    expires_after: Annotated[ExpiresAfter | None, EXPIRES_AFTER] = None


def check_purpose(purpose: str, expires_after: ExpiresAfter | None) -> int | None:
    """Check what is said of a file; give how long it is to be kept, None: until it is deleted."""
    validation.check_choice("purpose", purpose, PURPOSES)
    if expires_after is not None:
        expires_after.check()
        return expires_after.seconds
    return BATCH_KEEP_S if purpose == "batch" else None


def check_name(filename: str) -> None:
    """Check a file's name, which is only ever told again, never opened. Raises InvalidRequest."""
    validation.check_length("filename", filename, _NAME_LENGTH, 1)
