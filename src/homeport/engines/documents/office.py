"""Reads the text of Office's documents with python-docx, python-pptx and openpyxl. `archives` has checked them."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from homeport.domain.vector_stores import INVALID_FILE, UNSUPPORTED_FILE
from homeport.engines.documents.failures import MAX_PAGES, TextParts, UnreadableDocument

_FAULTS = (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError, OSError)
"""What the libraries raise for damaged documents, besides errors of their own."""
_MAX_CELLS = 2_000_000


def missing_extra(suffix: str) -> UnreadableDocument:
    """Make the error for a type of documents whose library is not installed."""
    return UnreadableDocument(
        UNSUPPORTED_FILE, f"Reading {suffix} needs the extra `documents`: pip install 'homeport[documents]'."
    )


def read_docx(path: Path) -> str:
    """Return the paragraphs and tables of a document, in order. Raises UnreadableDocument."""
    try:
        import docx
        from docx.opc.exceptions import OpcError
        from docx.table import Table
    except ImportError as error:
        raise missing_extra(".docx") from error
    parts = TextParts()
    try:
        for block in docx.Document(str(path)).iter_inner_content():
            if isinstance(block, Table):
                _add_rows(parts, ((cell.text for cell in row.cells) for row in block.rows))
            else:
                parts.add(block.text)
    except (OpcError, *_FAULTS) as error:
        raise _damaged(error) from error
    return parts.join("\n\n")


def read_pptx(path: Path) -> str:
    """Return the texts of all slides, with their notes, in order. Raises UnreadableDocument."""
    try:
        import pptx
        from pptx.exc import PythonPptxError
    except ImportError as error:
        raise missing_extra(".pptx") from error
    parts = TextParts()
    try:
        slides = pptx.Presentation(str(path)).slides
        if len(slides) > MAX_PAGES:
            raise UnreadableDocument(INVALID_FILE, f"The presentation has more than {MAX_PAGES} slides.")
        for slide in slides:
            for shape in _shapes(slide.shapes):
                if shape.has_text_frame:
                    parts.add(shape.text_frame.text)
                elif getattr(shape, "has_table", False):
                    _add_rows(parts, ((cell.text for cell in row.cells) for row in shape.table.rows))
            if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
                parts.add(slide.notes_slide.notes_text_frame.text)
    except (PythonPptxError, *_FAULTS) as error:
        raise _damaged(error) from error
    return parts.join("\n\n")


def read_xlsx(path: Path) -> str:
    """Return the cells of all sheets, a line for each row, with the last computed values of formulas.

    Raises UnreadableDocument.
    """
    try:
        import openpyxl
        from openpyxl.utils.exceptions import InvalidFileException
    except ImportError as error:
        raise missing_extra(".xlsx") from error
    parts = TextParts()
    n_cells = 0
    try:
        with path.open("rb") as file:
            book = openpyxl.load_workbook(file, read_only=True, data_only=True, keep_links=False)
            for sheet in book.worksheets:
                parts.add(f"# {sheet.title}")
                n_cells += _add_sheet(parts, sheet, _MAX_CELLS - n_cells)
    except (InvalidFileException, *_FAULTS) as error:
        raise _damaged(error) from error
    return parts.join("\n")


def _add_sheet(parts: TextParts, sheet: Any, most: int) -> int:
    """Add the rows of a sheet; return the number of its cells. Raises UnreadableDocument for more than `most`."""
    n_cells = 0
    for row in sheet.iter_rows(values_only=True):
        n_cells += len(row)
        if n_cells > most:
            raise UnreadableDocument(INVALID_FILE, f"The workbook has more than {_MAX_CELLS} cells.")
        _add_rows(parts, [("" if value is None else str(value) for value in row)])
    return n_cells


def _shapes(shapes: Any) -> Iterator[Any]:
    """Yield shapes, those of groups included."""
    for shape in shapes:
        if hasattr(shape, "shapes"):
            yield from _shapes(shape.shapes)
        else:
            yield shape


def _add_rows(parts: TextParts, rows: Iterable[Iterable[str]]) -> None:
    for row in rows:
        parts.add("\t".join(cell.replace("\n", " ").replace("\t", " ") for cell in row).strip())


def _damaged(error: Exception) -> UnreadableDocument:
    return UnreadableDocument(INVALID_FILE, f"The document is damaged: {str(error)[:200]}")
