"""Text files inside input, sent as `file_data` or named by `file_id`. Other files, and remote ones, are refused.

Knows nothing of messages, or of how stored files are found.
"""

import base64
import binascii
import re
from collections.abc import Callable

from homeport.api.responses.item_schema import ContentPart
from homeport.domain import validation
from homeport.domain.errors import InvalidRequest, excerpt

MAX_REFERRED_BYTES = 16_000_000
"""The maximum size of all stored files, and of all sealed texts, that one history refers to."""

_DATA_URL = re.compile(r"data:[^,]{0,200};base64,", re.IGNORECASE)
_SOURCES = ("file_data", "file_id", "file_url")
_DETAILS = ("auto", "low", "high")


def check_file(part: ContentPart, place: str) -> None:
    """Check an `input_file` without reading a stored file. Raises InvalidRequest naming the field."""
    if part.file_url is not None:
        raise validation.unsupported_field(
            f"{place}.file_url", "Remote files are not fetched by this server: send the file itself as 'file_data'."
        )
    given = [name for name in _SOURCES if getattr(part, name) is not None]
    if not given:
        raise validation.missing(f"{place}.file_data")
    if len(given) > 1:
        raise InvalidRequest("Give either 'file_data' or 'file_id'.", param=f"{place}.file_id")
    validation.check_length(f"{place}.filename", part.filename, validation.LABEL_CHARS, 1)
    validation.check_length(f"{place}.file_id", part.file_id, validation.LABEL_CHARS, 1)
    validation.check_choice(f"{place}.detail", part.detail, _DETAILS)
    if part.file_data is not None:
        sent_text(part, place)


def sent_text(part: ContentPart, place: str) -> str:
    """Return the text of a file that was sent as `file_data`. Raises InvalidRequest naming the field."""
    place = f"{place}.file_data"
    data = part.file_data or ""
    match = _DATA_URL.match(data)
    if match is None and data[:5].lower() == "data:":
        raise InvalidRequest(
            f"Invalid '{place}': expected a data: URL in base64 (data:text/plain;base64,...), or base64.",
            param=place,
            code="invalid_value",
        )
    try:
        content = base64.b64decode(data[match.end() :] if match else data, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidRequest(f"Invalid '{place}': this is not base64.", param=place, code="invalid_base64") from error
    return to_text(content, file_name(part), place)


def file_name(part: ContentPart) -> str:
    """Return the name under which the model sees a file."""
    return part.filename or part.file_id or "file"


def to_text(content: bytes, name: str, place: str) -> str:
    """Return the text of a file. Raises InvalidRequest naming `place` if it is not text in UTF-8."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _not_text(name, place) from error
    if "\0" in text or text.startswith("%PDF-"):
        raise _not_text(name, place)
    return text


def _not_text(name: str, place: str) -> InvalidRequest:
    return InvalidRequest(
        f"Invalid content type. input_file is served for text in UTF-8 only, and '{excerpt(name)}' is not.",
        param=place,
        code="unsupported_content_type",
    )


class ReferredTexts:
    """The texts that a history refers to: those of stored files, and those that were sealed.

    Their total size is bounded, for a short token or id may stand for a long text, and may be repeated.
    """

    def __init__(
        self, open_sealed: Callable[[str], str | None], read_file: Callable[[str], bytes] | None = None
    ) -> None:
        self._open_sealed = open_sealed
        self._read_file = read_file
        self._size = 0

    def open(self, token: str, place: str) -> str:
        """Return a sealed text. Raises InvalidRequest naming `place` if this server did not seal it."""
        place = f"{place}.encrypted_content"
        try:
            text = self._open_sealed(token)
        except InvalidRequest as error:
            raise InvalidRequest(error.message, param=place, code="invalid_encrypted_content") from error
        if text is None:
            raise InvalidRequest(
                "The encrypted content could not be verified.", param=place, code="invalid_encrypted_content"
            )
        self._count(len(text), place)
        return text

    def file(self, part: ContentPart, place: str) -> str:
        """Return the text of an `input_file`. Raises InvalidRequest naming the field, or what reading raises."""
        if part.file_id is None:
            return sent_text(part, place)
        place = f"{place}.file_id"
        if self._read_file is None:
            raise validation.unsupported_field(place, "This server has no files.")
        content = self._read_file(part.file_id)
        self._count(len(content), place)
        return to_text(content, file_name(part), place)

    def _count(self, size: int, place: str) -> None:
        self._size += size
        if self._size > MAX_REFERRED_BYTES:
            raise InvalidRequest(
                f"Invalid '{place}': too large. All files and encrypted contents together may have at most "
                f"{MAX_REFERRED_BYTES} bytes.",
                param=place,
                code="invalid_value",
            )
