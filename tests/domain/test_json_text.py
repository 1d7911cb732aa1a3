"""The beginning of JSON text."""

import codecs

import pytest

from homeport.domain.json_text import foreign_encoding, strip_bom


def test_a_byte_order_mark_is_no_part_of_the_text() -> None:
    """A UTF-8 byte order mark is removed, once; everything else is unchanged."""
    assert strip_bom(codecs.BOM_UTF8 + b"{}") == strip_bom(b"{}") == b"{}"
    assert strip_bom(b"") == b""


@pytest.mark.parametrize(
    ("encoding", "name"),
    [("utf-16", "UTF-16"), ("utf-16-le", "UTF-16"), ("utf-16-be", "UTF-16"), ("utf-32", "UTF-32"), ("utf-8", None)],
)
def test_another_encoding_is_named(encoding: str, name: str | None) -> None:
    """UTF-16 is detected with its mark and without, UTF-32 by its mark."""
    said = foreign_encoding('{"a": "é"}'.encode(encoding))
    assert said == (f"it is written in {name}, and JSON is UTF-8" if name else None)
