"""Parses a multipart form (RFC 7578) while it arrives: fields to memory, files to disk.

Names of fields and files are read as all clients write them: raw UTF-8, `filename*` (RFC 5987; .NET sends it, and it
has precedence as in RFC 6266), MIME's encoded words, and the one percent escape that browsers write in names.

Knows nothing of requests, the limit of the whole form, or the meaning of fields.
"""

import base64
import binascii
import re
from pathlib import Path
from typing import IO
from urllib.parse import unquote_to_bytes

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from homeport.domain.errors import InvalidRequest, excerpt

MAX_PARTS = 200
FIELD_BYTES = 1_000_000
FILENAME_HINT = "Its part of the form has no filename, so it is read as text; a file needs a filename."
_QUOTED = re.compile(rb'"(?:[^"\\]|\\.)*"')
_EXTENDED = re.compile(rb";\s*(\w+)\*\s*=\s*([\w-]*)'[^']*'([^;\s]*)", re.IGNORECASE)
_ENCODED_WORD = re.compile(rb"=\?utf-8\?b\?([\w+/=]*)\?=", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class FormPart:
    """A part of a form: a file with a `path`, or a field with the `value` that was sent."""

    def __init__(self, name: str, filename: str | None, path: Path | None) -> None:
        self.name = name
        self.filename = filename
        self.path = path
        self.size = 0
        self.value = b""


class MultipartFormReader:
    """Parses one form. Files go to `folder`, which is created for this user alone when the first file arrives."""

    def __init__(self, content_type: str, folder: Path) -> None:
        self._folder = folder
        self._parts: list[FormPart] = []
        self._headers: dict[bytes, bytes] = {}
        self._name = b""
        self._value = b""
        self._file: IO[bytes] | None = None
        self._is_complete = False
        boundary = parse_options_header(content_type)[1].get(b"boundary")
        if not boundary:
            raise InvalidRequest("We could not parse the form: its content type names no boundary.")
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._begin,
                    "on_header_field": self._header_name,
                    "on_header_value": self._header_value,
                    "on_header_end": self._header_end,
                    "on_headers_finished": self._open,
                    "on_part_data": self._data,
                    "on_part_end": self._close,
                    "on_end": self._finish,
                },
            )
        except FormParserError as error:
            raise _broken(error) from error

    def write(self, data: bytes) -> None:
        """Parse the next bytes of the body. Raises InvalidRequest if it is no form."""
        try:
            self._parser.write(data)
        except FormParserError as error:
            raise _broken(error) from error

    def parts(self) -> list[FormPart]:
        """Return all parts, in order. Raises InvalidRequest if the end is missing."""
        if not self._is_complete:
            raise InvalidRequest("We could not parse the form: it breaks off before its end.")
        return self._parts

    def close(self) -> None:
        """Close the current file, if the form ended within it."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _begin(self) -> None:
        self._headers = {}

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        self._headers[self._name.lower()] = self._value
        self._name = self._value = b""

    def _open(self) -> None:
        kind, options = _disposition(self._headers.get(b"content-disposition", b""))
        name, filename = options.get(b"name"), options.get(b"filename")
        if kind != b"form-data" or not name:
            raise InvalidRequest(
                "We could not parse the form: a part of it has no name. Each part begins with a header such as "
                'Content-Disposition: form-data; name="file"; filename="a.wav".'
            )
        if len(self._parts) == MAX_PARTS:
            raise InvalidRequest(f"The form has more than {MAX_PARTS} parts.")
        path = None
        if filename is not None:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            path = self._folder / str(len(self._parts))
            self._file = path.open("xb")
            path.chmod(0o600)
        self._parts.append(FormPart(name, filename, path))

    def _data(self, data: bytes, start: int, end: int) -> None:
        part = self._parts[-1]
        part.size += end - start
        if self._file is not None:
            self._file.write(memoryview(data)[start:end])
        elif part.size > FIELD_BYTES:
            message = f"Invalid '{excerpt(part.name)}': more than {FIELD_BYTES} bytes. {FILENAME_HINT}"
            raise InvalidRequest(message, param=part.name)
        else:
            part.value += data[start:end]

    def _close(self) -> None:
        self.close()

    def _finish(self) -> None:
        self._is_complete = True


def _broken(error: FormParserError) -> InvalidRequest:
    return InvalidRequest(f"We could not parse the form: {str(error)[:200]}.")


def _disposition(line: bytes) -> tuple[bytes, dict[bytes, str]]:
    """Return the kind of a part and the parameters of its Content-Disposition as text."""
    kind, plain = parse_options_header(line)
    options = {key.lower(): _text(value) for key, value in plain.items()}
    for key, charset, value in _EXTENDED.findall(_QUOTED.sub(b'""', line)):
        is_latin = charset.lower() == b"iso-8859-1"  # RFC 5987 defines these two
        options[key.lower()] = _decode(unquote_to_bytes(value), "iso-8859-1" if is_latin else "utf-8")
    return kind, options


def _text(value: bytes) -> str:
    if word := _ENCODED_WORD.fullmatch(value):
        try:
            return _decode(base64.b64decode(word[1], validate=True))
        except binascii.Error:
            pass  # the name only looks like an encoded word
    return _decode(value.replace(b"%22", b'"'))


def _decode(value: bytes, charset: str = "utf-8") -> str:
    return _CONTROL.sub("\ufffd", value.decode(charset, "replace"))
