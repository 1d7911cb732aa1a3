"""From a document to its text: finds out what it is, and has the reader of its type read it.

The first bytes decide, and a file name only where they say no more than that it is text. Knows nothing of processes.
"""

from collections.abc import Callable
from pathlib import Path

from homeport.domain.vector_stores import INVALID_FILE, UNSUPPORTED_FILE
from homeport.engines.documents import archives, office, pdf, plain_text
from homeport.engines.documents.failures import MAX_TEXT_CHARS, UnreadableDocument

_HEAD_BYTES = 1024
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED_OFFICE = "EncryptedPackage".encode("utf-16-le")
_OFFICE: dict[str, Callable[[Path], str]] = {
    "word/document.xml": office.read_docx,
    "ppt/presentation.xml": office.read_pptx,
    "xl/workbook.xml": office.read_xlsx,
}
"""By the part that only documents of this type have."""


def extract(path: Path, name: str) -> str:
    """Return the text of a document. `name`: its file name. Raises UnreadableDocument."""
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if not head:
        raise UnreadableDocument(INVALID_FILE, "The file is empty.")
    text = _read(path, name, head).replace("\x00", "").strip()
    if not text:
        scanned = " It may have scanned pages, which are pictures of text." if b"%PDF-" in head else ""
        raise UnreadableDocument(INVALID_FILE, f"The file has no text.{scanned}")
    if len(text) > MAX_TEXT_CHARS:
        raise UnreadableDocument(INVALID_FILE, f"The file has more than {MAX_TEXT_CHARS} characters of text.")
    return text


def _read(path: Path, name: str, head: bytes) -> str:
    if b"%PDF-" in head:
        return pdf.read_pdf(path)
    if head.startswith(b"PK\x03\x04"):
        return archives.read_parts(path, _OFFICE)
    if head.startswith(_OLE):
        if _ENCRYPTED_OFFICE in path.read_bytes():
            raise UnreadableDocument(INVALID_FILE, "The document is protected by a password.")
        raise UnreadableDocument(
            UNSUPPORTED_FILE, "This is an old Office document (.doc, .xls, .ppt): save it as .docx, .xlsx or .pptx."
        )
    return plain_text.read_text(path, name)
