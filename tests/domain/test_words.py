"""The words of texts, in the form in which they are compared."""

import pytest

from homeport.domain.words import words_of


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The Cats' toys, and GLASS!", ["the", "cat", "toy", "and", "glass"]),
        ("snake_case and Berries", ["snake", "case", "and", "berry"]),
        ("我爱 GPT-4", ["我", "爱", "我爱", "gpt", "4"]),
        ("ＡＢＣ Straße", ["abc", "strasse"]),
        ("", []),
    ],
)
def test_words_are_compared_in_one_form(text: str, words: list[str]) -> None:
    """Case, width, plurals and punctuation do not matter; Chinese is cut into characters and pairs."""
    assert list(words_of(text)) == words
