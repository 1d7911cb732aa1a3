"""The JSON of a file. Knows nothing of requests."""

import math
from collections.abc import AsyncGenerator

import msgspec

from homeport.domain.files import File

_UPLOADED_S = 3
"""For this many seconds files for fine-tuning are `uploaded`, then `processed`: clients of 2023 wait for both in turn.

Files are checked before they are stored, so the server can use them at once.
"""


class FileObject(msgspec.Struct, kw_only=True):
    """A file, with the fields of 2023 and of today."""

    id: str
    object: str = "file"
    bytes: int
    created_at: int
    expires_at: int | None
    filename: str
    purpose: str
    status: str
    status_details: None = None


class DeletedObject(msgspec.Struct, kw_only=True):
    """The answer to a deletion."""

    id: str
    object: str
    deleted: bool = True


def render_file(file: File, now: float = math.inf) -> FileObject:
    """Render a file. `now`: seconds since 1970, if the file may be new."""
    is_new = file.purpose == "fine-tune" and now < file.created_at + _UPLOADED_S
    return FileObject(
        id=file.id,
        bytes=file.bytes,
        created_at=file.created_at,
        expires_at=file.expires_at,
        filename=file.filename,
        purpose=file.purpose,
        status="uploaded" if is_new else "processed",
    )


async def stream_content(chunks: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """Return the chunks of a content, and one empty chunk if there are none: the first one sends the headers."""
    is_empty = True
    async for chunk in chunks:
        is_empty = False
        yield chunk
    if is_empty:
        yield b""
