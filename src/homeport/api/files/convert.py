"""From the form of a file to the file to store, checks included. Knows nothing of how files are stored."""

from homeport.api.files import content_check
from homeport.api.files.schema import ExpiresAfter, FileForm
from homeport.api.form_values import UploadedFile
from homeport.domain import validation
from homeport.domain.errors import InvalidRequest
from homeport.domain.files import PURPOSES, NewFile

BATCH_BYTES = 200_000_000
BATCH_KEEP_S = 30 * 86_400
MIN_EXPIRY_S, MAX_EXPIRY_S = 3600, 30 * 86_400
_MAX_NAME_CHARS = 512


def to_new_file(form: FileForm, upload: UploadedFile, project: str) -> NewFile:
    """Check a file by its purpose, and return what to store. Blocks. Raises InvalidRequest naming the field."""
    keep_s = check_purpose(form.purpose, form.expires_after)
    if form.purpose == "batch" and upload.size > BATCH_BYTES:
        raise InvalidRequest(f"A file for a batch may have at most {BATCH_BYTES} bytes.", param="file")
    check_name(upload.name)
    content_check.check(upload.path, form.purpose)
    return NewFile(project=project, purpose=form.purpose, filename=upload.name, keep_s=keep_s)


def check_purpose(purpose: str, expires_after: ExpiresAfter | None) -> int | None:
    """Check a purpose and an expiry; return for how many seconds to store the file, None: until it is deleted."""
    validation.check_choice("purpose", purpose, PURPOSES)
    check_expiry("expires_after", expires_after)
    if expires_after is not None:
        return expires_after.seconds
    return BATCH_KEEP_S if purpose == "batch" else None


def check_expiry(name: str, expires_after: ExpiresAfter | None) -> None:
    """Check an expiry. Raises InvalidRequest naming its field."""
    if expires_after is not None:
        validation.check_choice(f"{name}.anchor", expires_after.anchor, ("created_at",))
        validation.check_integer(f"{name}.seconds", expires_after.seconds, MIN_EXPIRY_S, MAX_EXPIRY_S)


def check_name(filename: str) -> None:
    """Check the name of a file, which is only returned, never opened. Raises InvalidRequest."""
    validation.check_length("filename", filename, _MAX_NAME_CHARS, 1)
