"""Files that callers store, and uploads of large files in parts. Knows nothing of where they are stored."""

import msgspec

PURPOSES = ("assistants", "batch", "evals", "fine-tune", "user_data", "vision")
"""The purposes for which a caller may upload a file."""


class File(msgspec.Struct, frozen=True, kw_only=True):
    """A file of a project. Times are seconds since 1970; `expires_at` None: kept until it is deleted."""

    id: str
    project: str
    purpose: str
    filename: str
    bytes: int
    created_at: int
    expires_at: int | None = None


class Upload(msgspec.Struct, frozen=True, kw_only=True):
    """A file that is uploaded in parts. `status`: pending, completed, cancelled or expired; then `file_id` is set.

    `keep_s`: how long the file will be kept; None: until it is deleted.
    """

    id: str
    project: str
    purpose: str
    filename: str
    bytes: int
    mime_type: str
    status: str
    created_at: int
    expires_at: int
    keep_s: int | None = None
    file_id: str | None = None


class UploadPart(msgspec.Struct, frozen=True, kw_only=True):
    """One part of an upload."""

    id: str
    upload_id: str
    bytes: int
    created_at: int
