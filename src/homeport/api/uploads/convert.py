"""From the bodies of uploads to the upload and the file to store, checks included. Knows nothing of their storage."""

import hashlib
from pathlib import Path

from homeport.api.files import content_check
from homeport.api.files.convert import BATCH_BYTES, check_name, check_purpose
from homeport.api.uploads.schema import CompleteUploadBody, UploadBody
from homeport.domain import validation
from homeport.domain.errors import InvalidRequest
from homeport.domain.files import NewUpload

MAX_UPLOAD_BYTES = 8 * 1024**3
MAX_UPLOAD_PARTS = 10_000
_MAX_MIME_CHARS = 255
_JSON_LINES_PURPOSES = ("batch", "evals", "fine-tune")
_JSON_LINES_TYPES = (
    "application/jsonl",
    "application/jsonlines",
    "application/x-jsonlines",
    "application/x-ndjson",
    "application/json",
    "application/octet-stream",
    "text/jsonl",
    "text/plain",
)


def to_new_upload(body: UploadBody, project: str) -> NewUpload:
    """Return the upload to start. Raises InvalidRequest naming the field."""
    check_name(body.filename)
    keep_s = check_purpose(body.purpose, body.expires_after)
    validation.check_integer("bytes", body.bytes, 1, BATCH_BYTES if body.purpose == "batch" else MAX_UPLOAD_BYTES)
    validation.check_length("mime_type", body.mime_type, _MAX_MIME_CHARS, 1)
    mime_type = body.mime_type.partition(";")[0].strip().lower()
    if body.purpose in _JSON_LINES_PURPOSES:
        validation.check_choice("mime_type", mime_type, _JSON_LINES_TYPES)
    elif body.purpose == "vision" and not mime_type.startswith("image/"):
        raise InvalidRequest("Invalid 'mime_type': a file for vision must be an image/*.", param="mime_type")
    return NewUpload(
        project=project,
        purpose=body.purpose,
        filename=body.filename,
        bytes=body.bytes,
        mime_type=body.mime_type,
        keep_s=keep_s,
    )


def check_parts(body: CompleteUploadBody) -> None:
    """Check the list of parts. Raises InvalidRequest."""
    validation.check_items("part_ids", body.part_ids, MAX_UPLOAD_PARTS, 1)


def check_content(body: CompleteUploadBody, path: Path, purpose: str) -> None:
    """Check the assembled file by its MD5, if it is given, and by its purpose. Blocks. Raises InvalidRequest."""
    if body.md5 is not None:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
        if digest != body.md5.strip().lower():
            raise InvalidRequest(f"The md5 of these parts is {digest}.", param="md5", code="checksum_mismatch")
    content_check.check(path, purpose)
