"""Reads the text of PDF files with pypdf. It neither runs scripts nor opens what a file refers to."""

import logging
from pathlib import Path

from homeport.domain.vector_stores import INVALID_FILE
from homeport.engines.documents.failures import MAX_PAGES, TextParts, UnreadableDocument
from homeport.engines.documents.office import missing_extra


def read_pdf(path: Path) -> str:
    """Return the text of all pages, separated by empty lines. Raises UnreadableDocument."""
    try:
        import pypdf
        from pypdf.errors import DependencyError, PyPdfError
    except ImportError as error:
        raise missing_extra(".pdf") from error
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # it reports each fault of a file
    parts = TextParts()
    try:
        with pypdf.PdfReader(path) as reader:
            if reader.is_encrypted and not reader.decrypt(""):
                raise UnreadableDocument(INVALID_FILE, "The PDF is protected by a password.")
            n_pages = len(reader.pages)
            if n_pages > MAX_PAGES:
                raise UnreadableDocument(INVALID_FILE, f"The PDF has {n_pages} pages; at most {MAX_PAGES} are read.")
            for page in reader.pages:
                parts.add(page.extract_text())
    except DependencyError as error:
        raise UnreadableDocument(INVALID_FILE, "The PDF is encrypted: save it without encryption.") from error
    except (PyPdfError, ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
        raise UnreadableDocument(INVALID_FILE, f"The PDF is damaged: {str(error)[:200]}") from error
    return parts.join("\n\n")
