"""Variants of a conversation for templates that refuse it."""

import pytest

from homeport.domain.content import Message, text_message
from homeport.engines.text.templates.message_variants import FOLDED, MERGED, list_variants

ROLES = {"s": "system", "d": "developer", "u": "user", "a": "assistant"}


def talk(letters: str) -> list[Message]:
    return [text_message(ROLES[letter], f"{letter}{at}") for at, letter in enumerate(letters)]


def written(messages: object) -> str:
    assert isinstance(messages, list)
    return " | ".join(f"{message.role[0]}: {message.text}" for message in messages).replace("\n\n", "+")


@pytest.mark.parametrize(
    ("letters", "expected"),
    [
        ("uau", []),
        ("uu", [("u: u0+u1", MERGED)]),
        ("uuaau", [("u: u0+u1 | a: a2+a3 | u: u4", MERGED)]),
        ("su", [("u: s0+u1", FOLDED)]),
        ("s", [("u: s0", FOLDED)]),
        ("usa", [("u: u0 | a: a2 | u: s1", FOLDED)]),
        ("sdu", [("s: s0 | u: d1+u2", FOLDED), ("u: s0+d1+u2", FOLDED)]),
        (
            "suasu",
            [("s: s0 | u: u1 | a: a2 | u: s3+u4", FOLDED), ("u: s0+u1 | a: a2 | u: s3+u4", FOLDED)],
        ),
        ("suu", [("s: s0 | u: u1+u2", MERGED), ("u: s0+u1 | u: u2", FOLDED), ("u: s0+u1+u2", FOLDED + MERGED)]),
    ],
)
def test_the_least_change_comes_first(letters: str, expected: list[tuple[str, str]]) -> None:
    """First the unchanged conversation, then with merged roles, then later system messages folded, then all folded."""
    first, *others = list_variants(talk(letters))
    assert first.messages == talk(letters)
    assert first.changes == ()
    variants = [(written(variant.messages), "".join(variant.changes)) for variant in others]
    assert variants == expected


def test_names_stay_with_their_texts() -> None:
    """When messages are merged, a name stays before its own text; an empty content adds no lines."""
    messages = [text_message("user", "a", "Ann"), text_message("user", ""), text_message("user", "b", "Ben")]
    merged = list(list_variants(messages))[1].messages
    assert merged == [text_message("user", "Ann: a\n\nBen: b")]
    folded = list(list_variants([text_message("system", "s"), text_message("user", "a", "Ann")]))[1].messages
    assert folded == [text_message("user", "s\n\nAnn: a")]
    alone = list(list_variants([text_message("system", "s"), text_message("assistant", "a", "Bot")]))[1].messages
    assert alone == [text_message("assistant", "a", "Bot"), text_message("user", "s")]
