"""Writes a title and a text as a file of each format, without libraries. Knows nothing of what the text says."""

import html as html_text
import io
import zipfile

_LINE = 88
_LINES_PER_PAGE = 48
_DOCX_TYPES = (
    '<?xml version="1.0" encoding="UTF-8"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Override PartName="/word/document.xml" '
    'ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>'
)
_DOCX_RELATIONS = (
    '<?xml version="1.0" encoding="UTF-8"?>'
    '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r1" '
    'Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" '
    'Target="word/document.xml"/></Relationships>'
)
_WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"


def plain(title: str, text: str) -> bytes:
    """Return a text file."""
    return f"{title}\n\n{text}\n".encode()


def markdown(title: str, text: str) -> bytes:
    """Return a Markdown file."""
    return f"# {title}\n\n{text}\n".encode()


def html(title: str, text: str) -> bytes:
    """Return an HTML page."""
    title = html_text.escape(title)
    body = "".join(f"<p>{html_text.escape(part)}</p>" for part in text.split("\n\n"))
    head = f'<meta charset="utf-8"><title>{title}</title><style>p {{ margin: 0 }}</style>'
    return f"<!doctype html><html><head>{head}</head><body><h1>{title}</h1>{body}</body></html>".encode()


def docx(title: str, text: str) -> bytes:
    """Return a Word document."""
    parts = "".join(
        f'<w:p><w:r><w:t xml:space="preserve">{html_text.escape(part)}</w:t></w:r></w:p>'
        for part in (title, *text.split("\n\n"))
    )
    document = (
        f'<?xml version="1.0" encoding="UTF-8"?><w:document xmlns:w="{_WORD}"><w:body>{parts}</w:body></w:document>'
    )
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", _DOCX_TYPES)
        archive.writestr("_rels/.rels", _DOCX_RELATIONS)
        archive.writestr("word/document.xml", document)
    return buffer.getvalue()


def pdf(title: str, text: str) -> bytes:
    """Return a PDF with this text in Latin-1."""
    lines = [title, "", *(line for part in text.split("\n\n") for line in (*_wrap(part), ""))]
    pages = [lines[start : start + _LINES_PER_PAGE] for start in range(0, len(lines), _LINES_PER_PAGE)]
    numbers = [4 + 2 * index for index in range(len(pages))]
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Count {len(pages)} /Kids [{' '.join(f'{number} 0 R' for number in numbers)}] >>".encode(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    ]
    for number, page in zip(numbers, pages, strict=True):
        shown = b"".join(b"(" + _escape(line) + b") Tj T*\n" for line in page)
        content = b"BT /F1 10 Tf 12 TL 50 790 Td\n" + shown + b"ET"
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents {number + 1} 0 R "
            "/Resources << /Font << /F1 3 0 R >> >> >>".encode()
        )
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content))
    return _file(objects)


def _wrap(text: str) -> list[str]:
    lines, line = [], ""
    for word in text.split():
        if line and len(line) + len(word) + 1 > _LINE:
            lines.append(line)
            line = ""
        line = f"{line} {word}".strip()
    return [*lines, line]


def _escape(text: str) -> bytes:
    encoded = text.encode("cp1252", "replace")
    return encoded.replace(b"\\", b"\\\\").replace(b"(", b"\\(").replace(b")", b"\\)")


def _file(objects: list[bytes]) -> bytes:
    parts, offsets = [b"%PDF-1.4\n"], []
    for number, content in enumerate(objects, 1):
        offsets.append(sum(map(len, parts)))
        parts.append(b"%d 0 obj\n%s\nendobj\n" % (number, content))
    start = sum(map(len, parts))
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    count = len(objects) + 1
    parts.append(b"xref\n0 %d\n0000000000 65535 f \n%s" % (count, table))
    parts.append(b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (count, start))
    return b"".join(parts)
