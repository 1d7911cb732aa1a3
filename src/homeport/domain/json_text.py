"""The beginning of JSON text: skips a byte order mark, and detects encodings other than UTF-8.

Editors and shells on Windows write both. Knows nothing of the JSON itself.
"""

import codecs

_MARKS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),  # before UTF-16's, which is a prefix of it
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)


def strip_bom(text: bytes) -> bytes:
    """Return the text without a leading UTF-8 byte order mark."""
    return text.removeprefix(codecs.BOM_UTF8)


def foreign_encoding(text: bytes) -> str | None:
    """Return what is wrong with the encoding of text that is not UTF-8 JSON; None if the encoding is not the fault."""
    encoding = next((name for mark, name in _MARKS if text.startswith(mark)), None)
    # JSON begins with an ASCII character; in UTF-16 one of its two bytes is zero.
    if encoding is None and 0 in text[:2]:
        encoding = "UTF-16"
    return f"it is written in {encoding}, and JSON is UTF-8" if encoding else None
