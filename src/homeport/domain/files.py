"""Files that callers store, and uploads of large files in parts. Knows nothing of where they are stored."""

import msgspec

PURPOSES = ("assistants", "batch", "evals", "fine-tune", "user_data", "vision")
"""The purposes for which a caller may upload a file."""


class NewFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file to store. `keep_s`: seconds until it expires; None: it is stored until it is deleted."""

    project: str
    purpose: str
    filename: str
    keep_s: int | None = None


class File(msgspec.Struct, frozen=True, kw_only=True):
    """A file of a project. Times are seconds since 1970; `expires_at` None: it is stored until it is deleted."""

    id: str
    project: str
    purpose: str
    filename: str
    bytes: int
    created_at: int
    expires_at: int | None = None


class NewUpload(msgspec.Struct, frozen=True, kw_only=True):
    """An upload to start: a file of `bytes` bytes that arrives in parts. `keep_s`: as in `NewFile`."""

    project: str
    purpose: str
    filename: str
    bytes: int
    mime_type: str
    keep_s: int | None = None


class Upload(msgspec.Struct, frozen=True, kw_only=True):
    """A file that arrives in parts. `status`: pending, completed, cancelled or expired; `file_id` once completed.

    `keep_s`: seconds until the file expires after completion; None: it is stored until it is deleted.
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
