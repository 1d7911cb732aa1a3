"""Checks Office documents, which are archives of XML, before a library reads them. Knows nothing of their contents.

Refused are archives that become too large, encrypted ones, documents with macros, and XML with declarations of its own,
which may name other files or multiply themselves: Office writes none.
"""

import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

from homeport.domain.vector_stores import INVALID_FILE, UNSUPPORTED_FILE
from homeport.engines.documents.failures import UnreadableDocument

MAX_PARTS = 20_000
MAX_UNPACKED_BYTES = 200_000_000
"""The maximum size of all XML of a document."""
MAX_TOTAL_BYTES = 1_000_000_000
"""The maximum size of all parts, with pictures and films, as the archive declares them: libraries may load them all."""
_CHUNK_BYTES = 1 << 20
_XML = (".xml", ".rels", ".vml")
_DECLARATIONS = tuple(
    text.encode(encoding) for text in ("<!DOCTYPE", "<!ENTITY") for encoding in ("utf-8", "utf-16-le", "utf-16-be")
)
_MACROS = "vbaProject.bin"


def read_parts(path: Path, readers: Mapping[str, Callable[[Path], str]]) -> str:
    """Check an archive and return the text that a reader makes of it. `readers`: by the part that shows the type.

    Raises UnreadableDocument.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = {entry.filename for entry in archive.infolist()}
            reader = next((read for part, read in readers.items() if part in names), None)
            if reader is None:
                raise UnreadableDocument(UNSUPPORTED_FILE, "Archives are not read, except .docx, .pptx and .xlsx.")
            _check(archive)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, ValueError, RuntimeError) as error:
        raise UnreadableDocument(INVALID_FILE, "The document is damaged or encrypted.") from error
    return reader(path)


def _check(archive: zipfile.ZipFile) -> None:
    entries = archive.infolist()
    if len(entries) > MAX_PARTS:
        raise UnreadableDocument(INVALID_FILE, f"The document has more than {MAX_PARTS} parts.")
    if any(entry.filename.endswith(_MACROS) for entry in entries):
        raise UnreadableDocument(UNSUPPORTED_FILE, "Documents with macros are not read: save it without them.")
    if sum(entry.file_size for entry in entries) > MAX_TOTAL_BYTES:
        raise UnreadableDocument(
            INVALID_FILE, f"The document has more than {MAX_TOTAL_BYTES} bytes when it is unpacked."
        )
    left = MAX_UNPACKED_BYTES
    for entry in entries:
        if entry.flag_bits & 1:
            raise UnreadableDocument(INVALID_FILE, "The document is protected by a password.")
        if entry.filename.lower().endswith(_XML):
            left -= _check_part(archive, entry, left)


def _check_part(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, most: int) -> int:
    """Return the unpacked size of a part, which is read in pieces. Raises UnreadableDocument above `most` bytes."""
    size, end = 0, b""
    with archive.open(entry) as part:
        while piece := part.read(_CHUNK_BYTES):
            size += len(piece)
            if size > most:
                raise UnreadableDocument(
                    INVALID_FILE, f"The document has more than {MAX_UNPACKED_BYTES} bytes when it is unpacked."
                )
            searched = end + piece
            if any(each in searched for each in _DECLARATIONS):
                raise UnreadableDocument(INVALID_FILE, "The document's XML declares entities, which are not read.")
            end = piece[-20:]
    return size
