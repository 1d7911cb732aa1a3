"""The text of documents of every type, and those that have none: damaged, encrypted, too large, of other types."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import docx
import openpyxl
import pptx
import pypdf
import pytest

from homeport.engines.documents import archives
from homeport.engines.documents.extraction import extract
from homeport.engines.documents.failures import MAX_PAGES, UnreadableDocument
from tests.samples.documents import write_archive, write_chinese_pdf, write_pdf

CHINESE = "猫在沙发上睡觉。"


def read(path: Path, content: str | bytes, name: str) -> str:
    file = path / "file"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return extract(file, name)


def refused(path: Path, name: str = "file") -> tuple[str, str]:
    with pytest.raises(UnreadableDocument) as error:
        extract(path, name)
    return error.value.code, error.value.message


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "gb18030"])
def test_text_is_read_in_its_encoding(tmp_path: Path, encoding: str) -> None:
    """Text in Unicode or in China's national encoding is read, with one form of line ends."""
    assert read(tmp_path, f"{CHINESE}\r\nline".encode(encoding), "a.txt") == f"{CHINESE}\nline"


def test_western_text_is_read(tmp_path: Path) -> None:
    """Text that is no valid UTF-8 and no Chinese is read as Windows writes it."""
    assert read(tmp_path, "Café à Zürich, naïve".encode("cp1252"), "a.txt") == "Café à Zürich, naïve"


def test_of_a_page_the_visible_text_is_read(tmp_path: Path) -> None:
    """HTML is read without its scripts, styles and marks; blocks are lines of their own, and the title is kept."""
    page = (
        "<!DOCTYPE html><html><head><title>Cats &amp; dogs</title><style>p {}</style></head><body>"
        "<script>x = 1</script><p>One <b>bold</b>\nword.</p><table><tr><td>a</td><td>b</td></tr></table></body></html>"
    )
    assert read(tmp_path, page, "page") == "Cats & dogs\nOne bold word.\na b"


def test_json_has_its_characters(tmp_path: Path) -> None:
    """JSON is read with characters in place of escapes; what is not valid stays as it is."""
    assert CHINESE in read(tmp_path, json.dumps({"text": CHINESE}), "a.json")
    assert read(tmp_path, "{broken", "a.json") == "{broken"


@pytest.mark.parametrize("name", ["a.md", "a.csv", "a.py", "a.unknown"])
def test_other_text_is_read_as_it_is(tmp_path: Path, name: str) -> None:
    """Markdown, tables, code and any other text are read unchanged."""
    assert read(tmp_path, "# Title\na,b\n", name) == "# Title\na,b"


def test_pdf_files_are_read_page_by_page(tmp_path: Path) -> None:
    """The text of all pages of a PDF is read, in English and in Chinese."""
    write_pdf(tmp_path / "a", ["First page", "Second page"])
    assert extract(tmp_path / "a", "a.pdf") == "First page\n\nSecond page"
    write_chinese_pdf(tmp_path / "b", CHINESE)
    assert extract(tmp_path / "b", "b.pdf") == CHINESE


def test_documents_are_read_with_their_tables(tmp_path: Path) -> None:
    """The paragraphs and tables of a .docx are read in order."""
    document = docx.Document()
    document.add_paragraph("Before")
    table = document.add_table(1, 2)
    table.cell(0, 0).text, table.cell(0, 1).text = "a", CHINESE
    document.add_paragraph("After")
    document.save(str(tmp_path / "a"))
    assert extract(tmp_path / "a", "a.docx") == f"Before\n\na\t{CHINESE}\n\nAfter"


def test_presentations_are_read_with_their_notes(tmp_path: Path) -> None:
    """The texts and notes of all slides of a .pptx are read."""
    deck = pptx.Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[5])
    assert slide.shapes.title is not None
    slide.shapes.title.text = CHINESE
    notes = slide.notes_slide.notes_text_frame
    assert notes is not None
    notes.text = "Speak slowly"
    deck.save(str(tmp_path / "a"))
    assert extract(tmp_path / "a", "a.pptx") == f"{CHINESE}\n\nSpeak slowly"


def test_workbooks_are_read_row_by_row(tmp_path: Path) -> None:
    """The cells of all sheets of a .xlsx are read, each row as a line."""
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = "Prices"
    sheet.append(["apple", 3, None, 1.5])
    book.create_sheet("More").append([CHINESE])
    book.save(tmp_path / "a")
    assert extract(tmp_path / "a", "a.xlsx") == f"# Prices\napple\t3\t\t1.5\n# More\n{CHINESE}"


def test_empty_files_are_refused(tmp_path: Path) -> None:
    """A file without any byte, and one without any text, is an invalid file."""
    for content in (b"", b" \n\t "):
        (tmp_path / "a").write_bytes(content)
        assert refused(tmp_path / "a")[0] == "invalid_file"
    writer = pypdf.PdfWriter()
    writer.add_blank_page(100, 100)
    writer.write(tmp_path / "blank")
    assert refused(tmp_path / "blank")[0] == "invalid_file"


def test_other_types_are_refused_by_name(tmp_path: Path) -> None:
    """Pictures, archives and old Office documents are unsupported files."""
    (tmp_path / "a").write_bytes(b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR")
    (tmp_path / "b").write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600))
    write_archive(tmp_path / "c", {"a.txt": "text"})
    for name in "abc":
        assert refused(tmp_path / name)[0] == "unsupported_file"
    assert "save it as .docx" in refused(tmp_path / "b")[1]


def test_encrypted_documents_are_refused(tmp_path: Path) -> None:
    """A PDF, an Office document and an archive that need a password are invalid files that say so."""
    write_pdf(tmp_path / "plain", ["Secret"])
    writer = pypdf.PdfWriter(clone_from=tmp_path / "plain")
    writer.encrypt("password", algorithm="RC4-128")
    writer.write(tmp_path / "a")
    ole = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600) + "EncryptedPackage".encode("utf-16-le")
    (tmp_path / "b").write_bytes(ole)
    for name in "ab":
        code, message = refused(tmp_path / name)
        assert (code, "password" in message) == ("invalid_file", True)


@pytest.mark.parametrize(
    "content", [b"%PDF-1.7\ngarbage", b"PK\x03\x04garbage", b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog >>"]
)
def test_damaged_documents_are_refused(tmp_path: Path, content: bytes) -> None:
    """A PDF or an archive that cannot be parsed is an invalid file."""
    (tmp_path / "a").write_bytes(content)
    assert refused(tmp_path / "a")[0] == "invalid_file"


@pytest.mark.parametrize("main", ["word/document.xml", "ppt/presentation.xml", "xl/workbook.xml"])
def test_office_documents_without_their_parts_are_refused(tmp_path: Path, main: str) -> None:
    """An archive that only looks like a document is an invalid file."""
    write_archive(tmp_path / "a", {main: "<a/>"})
    assert refused(tmp_path / "a")[0] == "invalid_file"


def test_documents_of_too_many_pages_are_refused(tmp_path: Path) -> None:
    """A PDF of more pages than the limit is refused before it is read."""
    writer = pypdf.PdfWriter()
    for _ in range(MAX_PAGES + 1):
        writer.add_blank_page(10, 10)
    writer.write(tmp_path / "a")
    code, message = refused(tmp_path / "a")
    assert (code, f"{MAX_PAGES + 1} pages" in message) == ("invalid_file", True)


def test_archives_that_explode_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small archive whose XML is large when it is unpacked is refused, in the middle of unpacking."""
    monkeypatch.setattr(archives, "MAX_UNPACKED_BYTES", 5_000_000)
    write_archive(tmp_path / "a", {"word/document.xml": b" " * 6_000_000})
    assert (tmp_path / "a").stat().st_size < 10_000
    code, message = refused(tmp_path / "a")
    assert (code, "unpacked" in message) == ("invalid_file", True)


def test_archives_with_too_much_media_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All parts together are limited, too, because libraries load them."""
    monkeypatch.setattr(archives, "MAX_TOTAL_BYTES", 1_000_000)
    write_archive(tmp_path / "a", {"word/document.xml": "<a/>", "word/media/a.png": bytes(1_000_001)})
    code, message = refused(tmp_path / "a")
    assert (code, "unpacked" in message) == ("invalid_file", True)


BILLION = '<!DOCTYPE a [<!ENTITY b "ha"><!ENTITY c "&b;&b;&b;">]><a>&c;</a>'
EXTERNAL = '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>'


@pytest.mark.parametrize(
    "encode", [str.encode, lambda text: text.encode("utf-16"), lambda text: b" " * 1_048_570 + text.encode()]
)
@pytest.mark.parametrize("xml", [BILLION, EXTERNAL])
def test_xml_with_entities_is_refused(tmp_path: Path, xml: str, encode: Callable[[str], bytes]) -> None:
    """XML that declares entities, which could multiply or name other files, is refused in any part and encoding."""
    write_archive(tmp_path / "a", {"word/document.xml": "<a/>", "word/styles.xml": encode(xml)})
    code, message = refused(tmp_path / "a")
    assert (code, "entities" in message) == ("invalid_file", True)


def test_documents_with_macros_are_refused(tmp_path: Path) -> None:
    """A document with macros is an unsupported file, and nothing of it is read."""
    write_archive(tmp_path / "a", {"word/document.xml": "<a/>", "word/vbaProject.bin": b"macro"})
    code, message = refused(tmp_path / "a")
    assert (code, "macros" in message) == ("unsupported_file", True)


def test_archives_of_many_parts_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of an archive's parts is limited."""
    monkeypatch.setattr(archives, "MAX_PARTS", 3)
    write_archive(tmp_path / "a", {"word/document.xml": "<a/>", **{f"{at}.xml": "" for at in range(3)}})
    assert zipfile.is_zipfile(tmp_path / "a")
    assert refused(tmp_path / "a") == ("invalid_file", "The document has more than 3 parts.")
