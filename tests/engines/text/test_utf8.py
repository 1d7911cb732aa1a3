"""Bytes become characters as soon as they are complete, however they arrive."""

from hypothesis import given
from hypothesis import strategies as st

from homeport.engines.text.utf8 import Utf8, token_text

# Mostly pieces of real characters, so that broken ones of every length come up often.
fragments = st.lists(
    st.one_of(
        st.binary(max_size=3),
        st.text(max_size=3).map(str.encode),
        st.sampled_from(
            [b"\xe4\xbd", b"\xa0", b"\xf0\x9f\x98", b"\x80", b"\xf0\x9f", b"\xef\xbf\xbd", b"\xc3", b"\xed\xa0"]
        ),
    ),
    max_size=12,
)


@given(fragments)
def test_text_is_that_of_all_bytes_together(pieces: list[bytes]) -> None:
    """All pieces and the end give what decoding all bytes together gives, measured or not."""
    plain, measured = Utf8(), Utf8()
    assert "".join(plain.feed(piece) for piece in pieces) + plain.close() == b"".join(pieces).decode("utf-8", "replace")
    assert "".join(measured.feed_measured(piece)[0] for piece in pieces) + measured.close() == b"".join(pieces).decode(
        "utf-8", "replace"
    )


@given(fragments)
def test_each_characters_end_is_where_its_bytes_end(pieces: list[bytes]) -> None:
    """Cutting the bytes at any reported end gives exactly the characters up to there."""
    utf8, text, ends = Utf8(), "", []
    for piece in pieces:
        more, more_ends = utf8.feed_measured(piece)
        text += more
        ends += more_ends
    assert len(ends) == len(text)
    data = b"".join(pieces)
    for index, end in enumerate(ends):
        assert data[:end].decode("utf-8", "replace") == text[: index + 1]


def test_complete_characters_never_wait() -> None:
    """A character is returned with the byte that completes it."""
    utf8 = Utf8()
    assert [utf8.feed(bytes((value,))) for value in "a你".encode()] == ["a", "", "", "你"]


def test_token_text_names_invalid_bytes() -> None:
    """Text is returned as text, other bytes as OpenAI writes them."""
    assert token_text("héllo".encode()) == "héllo"
    assert token_text(b"\xe4\xbd") == r"bytes:\xe4\xbd"
