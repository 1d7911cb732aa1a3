"""The beginning of JSON text: skips a byte order mark, and recognises encodings other than UTF-8.

Editors and shells on Windows write both. Knows nothing of the JSON itself.
"""

import codecs

_MARKS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),  # before UTF-16's, which begins it
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)


def strip_bom(text: bytes) -> bytes:
    """The text without a byte order mark of UTF-8 before it."""
    return text.removeprefix(codecs.BOM_UTF8)


def foreign_encoding(text: bytes) -> str | None:
    """What is wrong with the encoding of text that was no UTF-8 JSON, if that is what is wrong with it."""
    found = next((name for mark, name in _MARKS if text.startswith(mark)), None)
    if found is None and 0 in text[:2]:  # JSON begins with an ASCII character, of which one of two bytes is zero
        found = "UTF-16"
    return f"it is written in {found}, and JSON is UTF-8" if found else None
