"""The corpus of documents and questions: the same each time, with one document for each question."""

import zipfile
from io import BytesIO

import pytest

from bench.file_search import corpus, formats


def test_a_corpus_follows_from_its_seed() -> None:
    """The same seed gives the same two hundred documents and hundred questions, another seed gives others."""
    made = corpus.make(1)
    assert (len(made.documents), len(made.questions)) == (200, 100)
    assert made == corpus.make(1)
    assert made.questions != corpus.make(2).questions


def test_every_question_has_its_document() -> None:
    """Every question is asked once, and names a document of the corpus; both languages and all formats occur."""
    made = corpus.make(1)
    names = {document.name for document in made.documents}
    assert len(names) == 200
    assert len({question.text for question in made.questions}) == 100
    assert {question.document for question in made.questions} <= names
    assert {name.rsplit(".", 1)[1] for name in names} == {"pdf", "docx", "md", "html", "txt"}
    assert any("\u4e00" <= question.text[0] <= "\u9fff" for question in made.questions)


@pytest.mark.parametrize("text", ["One (1) \\ line.\n\nA second paragraph.", "word " * 2000])
def test_pdf_has_an_exact_table_of_objects(text: str) -> None:
    """The offsets in a PDF's table are those of its objects, also with several pages."""
    data = formats.pdf("Title", text)
    start = int(data.split(b"startxref\n")[1].split(b"\n")[0])
    rows = data[start:].split(b"\n")[3:]
    for number, row in enumerate(rows[: rows.index(next(row for row in rows if row.startswith(b"trailer")))], 1):
        assert data[int(row[:10]) :].startswith(b"%d 0 obj" % number)


def test_docx_has_its_text() -> None:
    """A Word document holds the title and the paragraphs, with markup as text."""
    with zipfile.ZipFile(BytesIO(formats.docx("Title", "a < b\n\n第二段"))) as archive:
        document = archive.read("word/document.xml").decode()
    assert "a &lt; b" in document
    assert "第二段" in document
