"""The JSON of uploads and their parts. Knows nothing of requests."""

import msgspec

from homeport.api.files.render import FileObject
from homeport.domain.files import Upload, UploadPart


class UploadObject(msgspec.Struct, kw_only=True):
    """An upload. `file`: the file, once the upload is completed by this request."""

    id: str
    object: str = "upload"
    bytes: int
    created_at: int
    filename: str
    purpose: str
    status: str
    expires_at: int
    file: FileObject | None = None


class PartObject(msgspec.Struct, kw_only=True):
    """A part of an upload."""

    id: str
    object: str = "upload.part"
    created_at: int
    upload_id: str


def render_upload(upload: Upload, file: FileObject | None = None) -> UploadObject:
    """Render an upload."""
    return UploadObject(
        id=upload.id,
        bytes=upload.bytes,
        created_at=upload.created_at,
        filename=upload.filename,
        purpose=upload.purpose,
        status=upload.status,
        expires_at=upload.expires_at,
        file=file,
    )


def render_part(part: UploadPart) -> PartObject:
    """Render a part."""
    return PartObject(id=part.id, created_at=part.created_at, upload_id=part.upload_id)
