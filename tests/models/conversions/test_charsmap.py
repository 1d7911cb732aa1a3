import struct
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from homeport.models.conversions import charsmap


def longest(data: bytes, text: bytes) -> tuple[int, str] | None:
    """Return how many bytes at the beginning of a text are replaced, and by what, as a tokenizer looks it up."""
    (size,) = struct.unpack_from("<I", data)
    units = struct.unpack_from(f"<{size // 4}I", data, 4)
    found, at = None, 0
    at ^= _offset(units[0])
    for length, byte in enumerate(text, 1):
        at ^= byte
        if units[at] & (1 << 31 | 0xFF) != byte:
            break
        has_end = units[at] >> 8 & 1
        at ^= _offset(units[at])
        if has_end:
            start = 4 + size + (units[at] & ~(1 << 31))
            found = length, data[start : data.index(0, start)].decode()
    return found


def _offset(unit: int) -> int:
    return (unit >> 10) << ((unit & 1 << 9) >> 6)


words = st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]), min_size=1, max_size=6)


@given(
    st.dictionaries(
        words, st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"])), min_size=1, max_size=40
    ),
    words,
)
def test_the_longest_text_is_replaced(replacements: dict[str, str], other: str) -> None:
    """Every text of the map is found with its replacement, the longest if several match; no other text is."""
    data = charsmap.compile_charsmap(replacements)
    for text in (*replacements, *(text + other for text in replacements), other):
        fitting = [known for known in replacements if text.startswith(known)]
        best = max(fitting, key=len, default=None)
        expected = None if best is None else (len(best.encode()), replacements[best])
        assert longest(data, text.encode()) == expected


def test_composed_characters_are_found_in_parts() -> None:
    """Letters with marks and Korean syllables are composed of their parts, and nothing is composed of itself."""
    found = charsmap.unicode_compositions()
    assert found["e\u0301"] == "é"
    assert found["A\u030a"] == "Å"
    assert found["\u1112\u1161\u11ab"] == "한"
    assert len(found) > 12_000
    assert all(unicodedata.normalize("NFC", parts) == whole != parts for parts, whole in found.items())


def test_a_large_map_is_whole() -> None:
    """All compositions together fit, each is found, in about a second and some hundred kilobytes."""
    composed = charsmap.unicode_compositions()
    data = charsmap.compile_charsmap(composed)
    some = list(composed.items())[::40]
    assert all(longest(data, parts.encode()) == (len(parts.encode()), whole) for parts, whole in some)
    assert len(data) < 400_000
