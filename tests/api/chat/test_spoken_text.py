"""The pieces of a text that is spoken while it is written."""

import pytest

from homeport.api.chat.spoken_text import SpokenText, ends_sentence, is_speakable, to_speech, weight

ENGLISH = (
    "A lighthouse is a tall building, and it shows ships the way. Dr. Smith built one in 1999. It cost 3.5 million! "
    "Was it worth it? Everybody says so, because nobody has been lost there since the evening of its first light."
)
MANDARIN = "灯塔是一座高高的建筑，它为船只指引方向。人们在很多年以前就建造了它。现在它还在发光吗？"


def pieces(text: str, step: int, *, is_slow: bool = True) -> list[str]:
    """Return the pieces of a text that arrives `step` characters at a time.

    `is_slow`: all of it arrives while the first piece is spoken; otherwise each piece is taken at once.
    """
    spoken, taken = SpokenText(), list[str]()
    for at in range(0, len(text), step):
        spoken.add(text[at : at + step])
        if not (is_slow and taken) and (piece := spoken.take()):
            taken.append(piece)
    spoken.end()
    while (piece := spoken.take()) is not None:
        taken.append(piece)
    assert spoken.is_over
    return taken


@pytest.mark.parametrize("text", [ENGLISH, MANDARIN, "word " * 300, "字" * 700, "Hi", "", "x" * 2000])
@pytest.mark.parametrize("step", [1, 7, 10_000])
@pytest.mark.parametrize("is_slow", [True, False])
def test_pieces_are_the_text(text: str, step: int, is_slow: bool) -> None:
    """However the text arrives, the pieces together are the text, and none is long."""
    taken = pieces(text, step, is_slow=is_slow)
    assert "".join(taken) == text
    assert all(weight(piece) <= 424 for piece in taken)


def test_the_first_piece_is_a_clause() -> None:
    """Speech starts with the first clause, as soon as it is there."""
    spoken = SpokenText()
    spoken.add("A lighthouse is a tall building,")
    assert spoken.take() is None
    spoken.add(" and")
    assert spoken.take() == "A lighthouse is a tall building,"
    assert pieces(MANDARIN, 1)[0] == "灯塔是一座高高的建筑，"


def test_a_first_clause_that_is_too_short_is_not_spoken_alone() -> None:
    """A word before a comma waits for the next clause."""
    assert pieces("Well, this is about a lighthouse, and ships.", 1)[0] == "Well, this is about a lighthouse,"


def test_a_first_sentence_without_clauses_is_cut_at_a_word() -> None:
    """Speech does not wait for the end of a long sentence."""
    first = pieces("This is a sentence that goes on and on without any place to breathe before it finally ends.", 1)[0]
    assert first == "This is a sentence that goes on and on without "


def test_later_pieces_are_all_complete_sentences() -> None:
    """What was written meanwhile is one piece, up to its last sentence that is complete."""
    spoken = SpokenText()
    spoken.add(f"{ENGLISH[:60]} {ENGLISH[61:]} And then")
    assert spoken.take() == ENGLISH[:32]
    assert spoken.take() == f"{ENGLISH[32:]}"
    assert spoken.take() is None


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("I asked Dr. Smith about it today. Yes.", "I asked Dr. Smith about it today."),
        ("The price of it is 3. It is not 4 now. No.", "The price of it is 3. It is not 4 now."),
        ("The answer of J. Smith was a good one. No.", "The answer of J. Smith was a good one."),
        ('He said to me: "I will do it now." Then', 'He said to me: "I will do it now."'),
    ],
)
def test_sentences_end_where_a_reader_would_stop(text: str, first: str) -> None:
    """Titles, initials and numbers end no sentence; a closing quote belongs to it."""
    spoken = SpokenText()
    spoken.add("x" * 30 + "\n")
    assert spoken.take() == "x" * 30 + "\n"
    spoken.add(text)
    assert spoken.take() == first


@pytest.mark.parametrize(
    ("piece", "is_end"), [("It ends.", True), ("好的。 ", True), ("a list\n", False), ("and,", False), ("Dr.", False)]
)
def test_a_piece_may_end_a_sentence(piece: str, is_end: bool) -> None:
    """A pause follows a sentence, not a clause."""
    assert ends_sentence(piece) == is_end


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("## Title\n\n**Bold** and `code` are *here*.", "Title\n\nBold and code are here."),
        ("- one\n- two", "one\ntwo"),
        ("See [the page](https://example.com/a_b).", "See the page."),
        ("```python\nx = 1\n```", "x = 1"),
        ("2 - 1 = 1, C# and a_b", "2 - 1 = 1, C# and a_b"),
    ],
)
def test_marks_are_not_spoken(text: str, spoken: str) -> None:
    """Markdown's marks are left out, other signs stay."""
    assert to_speech(text) == spoken


@pytest.mark.parametrize(("text", "is_it"), [("a", True), ("好", True), ("7", True), ("...", False), ("😀 —", False)])
def test_only_letters_and_digits_are_spoken(text: str, is_it: bool) -> None:
    """A text of signs alone is not sent to the speech model."""
    assert is_speakable(text) == is_it
