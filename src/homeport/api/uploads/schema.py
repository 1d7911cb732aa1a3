"""The bodies and the form of uploads, and their checks. Knows nothing of how files are stored."""

from typing import Annotated

import msgspec

from homeport.api import validation
from homeport.api.compatibility import served
from homeport.api.files.schema import BATCH_BYTES, EXPIRES_AFTER, PURPOSE, ExpiresAfter, check_name, check_purpose
from homeport.domain.errors import InvalidRequest

MAX_UPLOAD_BYTES = 8 * 1024**3
_LINES = (
    "application/jsonl",
    "application/jsonlines",
    "application/x-jsonlines",
    "application/x-ndjson",
    "application/json",
    "application/octet-stream",
    "text/jsonl",
    "text/plain",
)


class UploadBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The body that starts an upload."""

    filename: Annotated[str, served("Returned unchanged.")]
    purpose: Annotated[str, PURPOSE]
    bytes: Annotated[int, served("At most 8 GB, in parts of 64 MB; must equal the total size of the parts.")]
    mime_type: Annotated[str, served("Must match the purpose: JSON Lines, or image/* for vision.")]
    expires_after: Annotated[ExpiresAfter | None, EXPIRES_AFTER] = None

    def check(self) -> int | None:
        """Check the values. Returns the file's lifetime in seconds, None if it never expires. Raises InvalidRequest."""
        check_name(self.filename)
        keep_s = check_purpose(self.purpose, self.expires_after)
        validation.check_integer("bytes", self.bytes, 1, BATCH_BYTES if self.purpose == "batch" else MAX_UPLOAD_BYTES)
        validation.check_length("mime_type", self.mime_type, 255, 1)
        kind = self.mime_type.partition(";")[0].strip().lower()
        if self.purpose in ("batch", "evals", "fine-tune"):
            validation.check_choice("mime_type", kind, _LINES)
        elif self.purpose == "vision" and not kind.startswith("image/"):
            raise InvalidRequest("Invalid 'mime_type': a file for vision must be an image/*.", param="mime_type")
        return keep_s


class PartForm(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The form of a part, without its data: it has no other fields."""


class CompleteUploadBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The body that completes an upload."""

    part_ids: list[str]
    md5: str | None = None
