"""Reads text in any usual encoding: plain text, Markdown, code, CSV, JSON, HTML. Knows nothing of other documents."""

import codecs
import json
from html.parser import HTMLParser
from pathlib import Path

from homeport.domain.vector_stores import INVALID_FILE, UNSUPPORTED_FILE
from homeport.engines.documents.failures import MAX_TEXT_CHARS, UnreadableDocument

_MAX_BYTES = 4 * MAX_TEXT_CHARS
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_ENCODINGS = ("utf-8", "gb18030", "cp1252")
_MAX_CONTROLS = 0.01
"""The share of control characters from which on something is no text."""
_HTML = (".html", ".htm", ".xhtml")
_JSON = (".json",)
_HIDDEN = frozenset({"script", "style", "template", "noscript", "svg", "head"})
_INLINE = frozenset(
    {"a", "abbr", "b", "code", "em", "i", "kbd", "mark", "s", "small", "span", "strong", "sub", "sup", "u"}
)
_CELLS = frozenset({"td", "th"})


def read_text(path: Path, name: str) -> str:
    """Return the text of a file, of which the name says whether it is HTML or JSON. Raises UnreadableDocument."""
    if path.stat().st_size > _MAX_BYTES:
        raise UnreadableDocument(INVALID_FILE, f"The file has more than {MAX_TEXT_CHARS} characters of text.")
    text = _decode(path.read_bytes())
    suffix = Path(name.lower()).suffix
    if suffix in _HTML or text[:200].lstrip().lower().startswith(("<!doctype html", "<html")):
        return _html_text(text)
    return _json_text(text) if suffix in _JSON else text


def _decode(data: bytes) -> str:
    for bom, encoding in _BOMS:
        if data.startswith(bom):
            return _checked(data.decode(encoding, "replace"))
    if b"\x00" in data:
        raise _binary()
    for encoding in _ENCODINGS:
        try:
            return _checked(data.decode(encoding))
        except UnicodeDecodeError:
            continue
    raise _binary()


def _checked(text: str) -> str:
    sample = text[:100_000]
    controls = sum(character < " " and character not in "\t\n\r\f" for character in sample)
    if controls > _MAX_CONTROLS * len(sample):
        raise _binary()
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _binary() -> UnreadableDocument:
    return UnreadableDocument(
        UNSUPPORTED_FILE,
        "Files of this type are not read: text in any form, .html, .json, .csv, .pdf, .docx, .pptx and .xlsx are.",
    )


def _json_text(text: str) -> str:
    """Return JSON with its characters instead of escapes; what is not valid JSON stays as it is."""
    try:
        return json.dumps(json.loads(text), ensure_ascii=False, indent=1)
    except (ValueError, RecursionError):
        return text


def _html_text(text: str) -> str:
    parser = _HtmlText()
    parser.feed(text)
    parser.close()
    lines = (" ".join(line.split()) for line in "".join(parser.parts).split("\n"))
    return "\n".join(line for line in lines if line)


class _HtmlText(HTMLParser):
    """Collects the visible text of a page, one line for each block."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._hidden = 0
        self._is_title = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Begin an element."""
        del attrs
        self._hidden += tag in _HIDDEN
        self._is_title = tag == "title"
        self._separate(tag)

    def handle_endtag(self, tag: str) -> None:
        """End an element."""
        self._hidden -= tag in _HIDDEN and self._hidden > 0
        self._is_title = False
        self._separate(tag)

    def handle_data(self, data: str) -> None:
        """Add text, with its line ends as spaces."""
        if self._is_title or not self._hidden:
            self.parts.append(data.replace("\n", " "))

    def _separate(self, tag: str) -> None:
        if tag in _CELLS:
            self.parts.append(" ")
        elif tag not in _INLINE:
            self.parts.append("\n")
