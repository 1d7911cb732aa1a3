"""The bodies and the form of uploads."""

from typing import Annotated

import msgspec

from homeport.api.compatibility import served
from homeport.api.files.schema import EXPIRES_AFTER, PURPOSE, ExpiresAfter


class UploadBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The body that starts an upload."""

    filename: Annotated[str, served("Returned unchanged.")]
    purpose: Annotated[str, PURPOSE]
    bytes: Annotated[int, served("At most 8 GB, in parts of 64 MB; must equal the total size of the parts.")]
    mime_type: Annotated[str, served("Must match the purpose: JSON Lines, or image/* for vision.")]
    expires_after: Annotated[ExpiresAfter | None, EXPIRES_AFTER] = None


class PartForm(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The form of a part, without its data: it has no other fields."""


class CompleteUploadBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The body that completes an upload."""

    part_ids: list[str]
    md5: str | None = None
