"""The form and the query parameters of files."""

from typing import Annotated

import msgspec

from homeport.api.compatibility import served
from homeport.api.paging import PageQuery

MAX_PAGE_SIZE = 10_000

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


class FileForm(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The form of an uploaded file, without the file itself."""

    purpose: Annotated[str, PURPOSE]
    expires_after: Annotated[ExpiresAfter | None, EXPIRES_AFTER] = None


class FilesQuery(PageQuery, forbid_unknown_fields=True, kw_only=True):
    """The query parameters of a list of files."""

    limit: int = MAX_PAGE_SIZE
    purpose: str | None = None
    order: str = "desc"
