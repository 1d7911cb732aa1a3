"""The text of a choice up to the stop string, and the tokens whose bytes it consists of."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.domain.events import ScoredToken
from homeport.engines.text.detokenizer import Detokenizer, TextPiece
from homeport.engines.text.executor import Vocabulary
from homeport.engines.text.logprobs import TokenScore
from homeport.engines.text.stop_strings import StopStrings


def vocabulary(pieces: list[bytes], special: dict[int, str] | None = None) -> Vocabulary:
    return Vocabulary(
        size=len(pieces),
        pieces=tuple(pieces),
        end_tokens=frozenset(),
        start_token=None,
        document_token=0,
        infill=None,
        special=special or {},
    )


def run(pieces: list[bytes], stop: list[str], *, scores: bool = True) -> tuple[list[TextPiece], bool]:
    """Push every piece as one token until a stop string is found, then close."""
    detokenizer = Detokenizer(vocabulary(pieces), StopStrings(stop), scores=scores)
    out = []
    for token in range(len(pieces)):
        out.append(detokenizer.push(token, TokenScore(token, -0.5) if scores else None))
        if detokenizer.stopped:
            break
    out.append(detokenizer.close())
    return out, detokenizer.stopped


def cut(text: str, stop: list[str]) -> str:
    """Return the text up to the stop string that is completed first."""
    found = [(text.index(s) + len(s), text.index(s)) for s in stop if s in text]
    return text[: min(found)[1]] if found else text


alphabet = "ab\n你😀"
tokens = st.lists(
    st.one_of(
        st.text(alphabet, max_size=4).map(str.encode),
        st.sampled_from([b"\xe4", b"\xbd\xa0", b"\xf0\x9f", b"\x98\x80", b"\xff", b"\xe4\xbd\xa0a", b""]),
    ),
    max_size=14,
)
stops = st.lists(st.text(alphabet + "\ufffd", min_size=1, max_size=4), max_size=4)


@given(tokens, stops, st.booleans())
def test_stream_is_the_whole_text_cut_at_the_stop(pieces: list[bytes], stop: list[str], scores: bool) -> None:
    """Any tokenization gives the text of all bytes together, up to the stop string completed first."""
    out, stopped = run(pieces, stop, scores=scores)
    whole = b"".join(pieces).decode("utf-8", "replace")
    assert "".join(piece.text for piece in out) == cut(whole, stop)
    assert stopped == any(s in whole for s in stop) or out[-1].text == ""


@given(tokens, stops)
def test_only_a_possible_stop_string_is_held_back(pieces: list[bytes], stop: list[str]) -> None:
    """After each token everything is emitted except the longest end that could become a stop string."""
    detokenizer = Detokenizer(vocabulary(pieces), StopStrings(stop), scores=False)
    whole, emitted = b"", ""
    for token, data in enumerate(pieces):
        emitted += detokenizer.push(token, None).text
        if detokenizer.stopped:
            return
        whole += data
        text = whole.decode("utf-8", "replace")
        withheld = text[len(emitted) :]
        ready = withheld.rstrip("\ufffd")
        assert text.startswith(emitted)
        assert not ready or any(s.startswith(ready) or ready in s for s in stop)


@given(tokens, stops)
def test_scored_tokens_spell_the_text(pieces: list[bytes], stop: list[str]) -> None:
    """The bytes of all scored tokens decode to the text, and each offset is that of its first byte's character."""
    out, _ = run(pieces, stop)
    text = "".join(piece.text for piece in out)
    scored = [entry for piece in out for entry in piece.scored]
    data = b"".join(entry.bytes for entry in scored)
    assert data.decode("utf-8", "replace") == text
    before = b""
    for entry in scored:
        # The character's own bytes delimit the characters before it exactly.
        ends = [
            n for n in range(len(data) + 1) if text.startswith(data[:n].decode("utf-8", "ignore")) and n <= len(before)
        ]
        assert entry.offset <= len(before.decode("utf-8", "replace"))
        assert entry.offset >= len(before[: max(ends)].decode("utf-8", "ignore"))
        before += entry.bytes


@given(st.lists(st.text(alphabet, min_size=1, max_size=3), max_size=10))
def test_offsets_of_whole_tokens_are_exact(words: list[str]) -> None:
    """If tokens are whole characters, each offset is the position of the token's text."""
    out, _ = run([word.encode() for word in words], [])
    text = "".join(piece.text for piece in out)
    for entry in [entry for piece in out for entry in piece.scored]:
        assert text[entry.offset : entry.offset + len(entry.token)] == entry.token


def test_stop_across_tokens_never_leaks() -> None:
    """A stop string split over three tokens is not emitted, nor are the tokens after it."""
    out, stopped = run([b"Hi", b" th", b"ere\n", b"Us", b"er: x", b"never"], ["\nUser:"])
    assert [piece.text for piece in out] == ["Hi", " th", "ere", "", "", ""]
    assert stopped
    assert [entry.token for piece in out for entry in piece.scored] == ["Hi", " th", "ere"]


def test_text_that_is_no_stop_string_is_emitted() -> None:
    """Text that only began like a stop string is emitted as soon as it cannot be one, with its tokens."""
    out, stopped = run([b"a\n", b"Us", b"ual"], ["\nUser:"])
    assert [piece.text for piece in out] == ["a", "", "\nUsual", ""]
    assert [[entry.token for entry in piece.scored] for piece in out] == [[], [], ["a\n", "Us", "ual"], []]
    assert not stopped


def test_partial_characters_are_named_by_their_bytes() -> None:
    """Tokens inside one character are named by their bytes, at the character's offset.

    The text waits for the last one.
    """
    out, _ = run([b"x", b"\xe4\xbd", b"\xa0", b"y"], [])
    assert [piece.text for piece in out] == ["x", "", "你", "y", ""]
    scored = [entry for piece in out for entry in piece.scored]
    assert [(entry.token, entry.offset) for entry in scored] == [
        ("x", 0),
        (r"bytes:\xe4\xbd", 1),
        (r"bytes:\xa0", 1),
        ("y", 2),
    ]


def test_broken_character_moves_the_next_offset() -> None:
    """An incomplete character counts as one U+FFFD."""
    out, _ = run([b"\xe4\xbd", b"y"], [])
    assert "".join(piece.text for piece in out) == "\ufffdy"
    assert [entry.offset for piece in out for entry in piece.scored] == [0, 1]


def test_unfinished_character_at_the_end() -> None:
    """Closing inside a character emits one U+FFFD, with its token."""
    out, _ = run([b"a", b"\xf0\x9f"], [])
    assert [piece.text for piece in out] == ["a", "", "\ufffd"]
    assert [entry.bytes for entry in out[-1].scored] == [b"\xf0\x9f"]


def test_echo_comes_first_and_moves_offsets() -> None:
    """The prompt's tokens are returned with it, stop strings in it are ignored, later offsets count from its end."""
    words = vocabulary([b"Say", b" stop", b" you", b"!"])
    detokenizer = Detokenizer(words, StopStrings([" stop"]), scores=True)
    echoed = detokenizer.echo("Say stop", [0, 1], [TokenScore(0, None), TokenScore(1, -2.0, ((2, -0.5),))])
    assert echoed.text == "Say stop"
    assert [(entry.token, entry.logprob, entry.offset) for entry in echoed.scored] == [
        ("Say", None, 0),
        (" stop", -2.0, 3),
    ]
    assert [(other.token, other.bytes, other.logprob) for other in echoed.scored[1].top] == [(" you", b" you", -0.5)]
    assert not detokenizer.stopped
    assert detokenizer.push(2, TokenScore(2, -1.0)).scored == (ScoredToken(" you", b" you", -1.0, 8),)


def test_echo_without_scores_is_text_only() -> None:
    """Without scores, the prompt and the following tokens are text only."""
    detokenizer = Detokenizer(vocabulary([b"a", b"b"]), StopStrings([]), scores=False)
    assert detokenizer.echo("a", [0], None) == TextPiece("a")
    assert detokenizer.push(1, None) == TextPiece("b")


def test_control_tokens_are_named_and_spell_nothing() -> None:
    """A control token has its name and no bytes, as token and as alternative."""
    detokenizer = Detokenizer(vocabulary([b"a", b""], {1: "<|end|>"}), StopStrings([]), scores=True)
    (entry,) = detokenizer.push(1, TokenScore(1, -1.0, ((1, -1.0),))).scored
    assert (entry.token, entry.bytes, entry.top[0].token) == ("<|end|>", b"", "<|end|>")


def test_pushing_after_a_stop_is_a_bug() -> None:
    """After the stop string no token is accepted, and closing adds nothing."""
    detokenizer = Detokenizer(vocabulary([b"stop"]), StopStrings(["stop"]), scores=False)
    assert detokenizer.push(0, None) == TextPiece("")
    assert detokenizer.close() == TextPiece("")
    with pytest.raises(RuntimeError):
        detokenizer.push(0, None)


def test_tokens_outside_content_are_no_part_of_a_stop_string() -> None:
    """A stop string is not found in tokens that may not stop, nor across them; held text is emitted."""
    detokenizer = Detokenizer(vocabulary([b"a", b"b"]), StopStrings(["ab"]), scores=False)
    assert detokenizer.push(0, None).text == ""
    assert detokenizer.push(1, None, may_stop=False).text == "ab"
    assert not detokenizer.stopped
    assert detokenizer.push(1, None).text == "b"


def test_control_tokens_may_have_a_text() -> None:
    """A control token with a name has that text, and its score has no bytes of its own."""
    tokens = vocabulary([b"a", b""], {1: "<x>"})
    detokenizer = Detokenizer(tokens, StopStrings([]), scores=True, names={1: b"\xef\xb7\x90<x>"})
    piece = detokenizer.push(1, TokenScore(1, -1.0))
    assert piece.text == "\ufdd0<x>"
    assert [(one.token, one.bytes, one.offset) for one in piece.scored] == [("<x>", b"", 0)]
    assert detokenizer.push(0, TokenScore(0, -1.0)).scored[0].offset == 4
