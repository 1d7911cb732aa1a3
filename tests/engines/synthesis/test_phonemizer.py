"""Texts as chunks of phonemes: languages, sentences, limits, and robustness."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeport.domain.errors import InvalidRequest
from homeport.engines.synthesis.phonemizer import (
    MAX_CHUNK_PHONEMES,
    MAX_FIRST_CHUNK_PHONEMES,
    PhonemizedText,
    Phonemizer,
)
from homeport.engines.synthesis.voices import OPENAI_VOICES, SpeechLanguage

ALLOY = OPENAI_VOICES["alloy"]


@pytest.fixture(scope="session")
def phonemizer(kokoro: Mapping[str, Path]) -> Phonemizer:
    """A phonemizer for the real model's alphabet."""
    return Phonemizer(frozenset(json.loads(kokoro["vocabulary"].read_text("utf-8"))["vocab"]))


def spoken_chunks(reading: PhonemizedText) -> list[tuple[str, str]]:
    """Return language and phonemes of each chunk."""
    return [(chunk.language.value, chunk.phonemes) for chunk in reading.chunks]


def test_each_sentence_is_read_in_its_language(phonemizer: Phonemizer) -> None:
    """English and Mandarin sentences of one input become chunks of their own language."""
    read = phonemizer.phonemize("Good morning, everyone here. 今天天气很好，我们走吧。", ALLOY)
    assert spoken_chunks(read) == [
        ("english", "ɡˈʊd mˈɔɹnɪŋ, ˈɛvɹiwən hˈɪɹ."),
        ("mandarin", "ʨi→ntʰjɛ→ntʰjɛ→nʨʰi↘ xə↓n xau↓, wo↓mən ʦou↓ pa."),
    ]
    assert read.skipped == ""


def test_words_of_the_other_language_are_read_in_it(phonemizer: Phonemizer) -> None:
    """Latin words in Mandarin are English with their digits, and Han characters in English are Mandarin."""
    ((language, phonemes),) = spoken_chunks(phonemizer.phonemize("我用 GPT-4 写 2 个程序。", ALLOY))
    assert language == SpeechLanguage.MIXED
    assert "ʤˌipˌitˈi" in phonemes
    assert "ljaŋ" not in phonemes
    assert "lja↓ŋ kɤ↘" in phonemes
    ((language, phonemes),) = spoken_chunks(phonemizer.phonemize("The word 你好 means hello.", ALLOY))
    assert (language, "ni↓xau↓" in phonemes) == (SpeechLanguage.MIXED, True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It costs $5.50.", "fˈIv dˈɑləɹz ænd fˈɪfti sˈɛnts"),
        ("In 1999.", "nˌIntˈin nˈIndi nˈIn"),
        ("About 12.5%.", "twˈɛlv pYnt fˈIv pəɹsˈɛnt"),
        ("Some 3 kg.", "θɹˈi kˈɪləɡɹˌæmz"),
        ("Dr. Smith.", "dˈɑktəɹ smˈɪθ"),
        ("On Jan. 3rd.", "ʤˈænjəwˌɛɹi θˈɜɹd"),
    ],
)
def test_english_numbers_and_abbreviations_are_read_out(phonemizer: Phonemizer, text: str, expected: str) -> None:
    """Money, years, percentages, units, titles and dates become words, and their periods end no sentence."""
    ((_, phonemes),) = spoken_chunks(phonemizer.phonemize(text, ALLOY))
    assert expected in phonemes


def test_british_voices_read_british_english(phonemizer: Phonemizer) -> None:
    """A word has the pronunciation of the voice's accent."""
    ((_, there),) = spoken_chunks(phonemizer.phonemize("A dance.", OPENAI_VOICES["fable"]))
    ((_, here),) = spoken_chunks(phonemizer.phonemize("A dance.", ALLOY))
    assert ("ɑː" in there, "æ" in here) == (True, True)


def test_sentence_ends(phonemizer: Phonemizer) -> None:
    """Periods inside numbers, initials and abbreviations end no sentence. Pauses after paragraphs are longer."""
    text = (
        "We met J. K. Rowling at 3.14 p.m. in the house, e.g. yesterday evening. Then everybody went home again."
        "\n\nEnd of the whole long story here."
    )
    read = phonemizer.phonemize(text, ALLOY)
    assert len(read.chunks) == 3
    pauses = [chunk.pause_s for chunk in read.chunks]
    assert pauses[1] > pauses[0] > 0


def test_long_sentences_are_cut_at_clauses(phonemizer: Phonemizer) -> None:
    """No chunk exceeds its limit, the first is the shortest, and cuts are after commas if there are any."""
    text = ", ".join(["the quick brown fox jumps over the lazy dog"] * 20) + "."
    chunks = phonemizer.phonemize(text, ALLOY).chunks
    assert len(chunks[0].phonemes) <= MAX_FIRST_CHUNK_PHONEMES
    assert all(len(chunk.phonemes) <= MAX_CHUNK_PHONEMES for chunk in chunks)
    assert all(chunk.phonemes[-1] in ",." for chunk in chunks)


def test_very_short_sentences_are_joined(phonemizer: Phonemizer) -> None:
    """One-word sentences are joined with their neighbor."""
    assert len(phonemizer.phonemize("Yes. No. Maybe.", ALLOY).chunks) == 1


def test_unreadable_characters_are_returned(phonemizer: Phonemizer) -> None:
    """Emoji and other scripts are skipped and returned, each character once."""
    read = phonemizer.phonemize("Hello there 😀😀 and да, my friend.", ALLOY)
    assert read.skipped == "😀да"
    assert len(read.chunks) == 1


@pytest.mark.parametrize(
    "text", ["Привет, как дела?", "こんにちは", "مرحبا", "Привет bob", "😀", "...", "   \n", "﷽", "\x00"]
)
def test_an_unreadable_text_is_refused(phonemizer: Phonemizer, text: str) -> None:
    """A text mostly in another script, or without anything to speak, is an error that names the input."""
    with pytest.raises(InvalidRequest) as refused:
        phonemizer.phonemize(text, ALLOY)
    assert refused.value.param == "input"


def test_phonemes_cannot_be_injected(phonemizer: Phonemizer) -> None:
    """The phonemizer's own markup in a text is read as text."""
    ((_, phonemes),) = spoken_chunks(phonemizer.phonemize("[hello](/zˈuluzˈulu/)", ALLOY))
    assert phonemes.startswith("(həlˈO)")


@settings(max_examples=150, deadline=None)
@given(
    text=st.text(st.characters(exclude_categories=["Cs"]), max_size=80) | st.text("aZ9 .,，。你好$%-/:‘’'", max_size=60)
)
def test_any_text_is_phonemized_or_refused(phonemizer: Phonemizer, text: str) -> None:
    """Any text is phonemized within the model's limits, or refused with a reason."""
    try:
        read = phonemizer.phonemize(text, ALLOY)
    except InvalidRequest:
        return
    assert read.chunks
    assert all(0 < len(chunk.phonemes) <= MAX_CHUNK_PHONEMES for chunk in read.chunks)
