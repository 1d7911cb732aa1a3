"""Sealed texts: they open as they were, and only where they were sealed."""

import base64
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.api.responses import sealed_text
from homeport.api.responses.sealed_text import open_sealed, seal
from homeport.domain.errors import InvalidRequest

SECRET = b"s" * 32


@given(st.text(alphabet=st.characters(exclude_categories=())))
def test_a_sealed_text_opens_as_it_was(text: str) -> None:
    """Any text, also half a surrogate pair, is the same after it was sealed and opened; its token is printable."""
    token = seal(SECRET, text)
    assert open_sealed(SECRET, token) == text
    assert token.isascii()
    assert token.isprintable()
    assert seal(SECRET, text) == token


def test_a_token_is_shorter_than_long_text() -> None:
    """Long texts are compressed."""
    assert len(seal(SECRET, "I think. " * 1000)) < 1000


TOKEN = seal(SECRET, "I think, therefore I am.")


@pytest.mark.parametrize(
    "token",
    [
        "",
        "hp1.",
        "hp2." + TOKEN[4:],
        TOKEN[4:],
        TOKEN[:-4],
        TOKEN + "AAAA",
        TOKEN + "\n",
        TOKEN.replace("hp1.", "hp1.é"),
        "hp1." + base64.urlsafe_b64encode(zlib.compress(b"x" * 99)).decode(),
        "gAAAAABo-other-servers-token==",
    ],
)
def test_what_was_not_sealed_here_is_refused(token: str) -> None:
    """A token of another server, a part of one, or anything else is a 400 with a code of its own."""
    with pytest.raises(InvalidRequest) as caught:
        open_sealed(SECRET, token)
    assert caught.value.code == "invalid_encrypted_content"


@pytest.mark.parametrize("at", range(4, len(TOKEN) - 4))
def test_every_character_counts(at: int) -> None:
    """A token of which one character was changed is refused; only the last ones may have bits without meaning."""
    changed = TOKEN[:at] + ("A" if TOKEN[at] != "A" else "B") + TOKEN[at + 1 :]
    with pytest.raises(InvalidRequest):
        open_sealed(SECRET, changed)


def test_another_secret_does_not_open_it() -> None:
    """A token opens only with the secret that it was sealed with."""
    with pytest.raises(InvalidRequest):
        open_sealed(b"t" * 32, TOKEN)


def test_size_is_bounded_on_both_sides(monkeypatch: pytest.MonkeyPatch) -> None:
    """A text over the limit is not sealed, and a signed token of one is refused before it is all decompressed."""
    bomb = seal(SECRET, "x" * 11)
    monkeypatch.setattr(sealed_text, "MAX_TEXT_BYTES", 10)
    assert open_sealed(SECRET, seal(SECRET, "x" * 10)) == "x" * 10
    with pytest.raises(ValueError, match="at most 10"):
        seal(SECRET, "x" * 11)
    with pytest.raises(InvalidRequest):
        open_sealed(SECRET, bomb)
