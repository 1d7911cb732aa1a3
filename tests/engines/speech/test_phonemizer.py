"""Texts as chunks: languages told apart, sentences found, nothing too long, nothing crashing."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeport.domain.errors import InvalidRequest
from homeport.engines.speech.phonemizer import (
    MAX_CHUNK_PHONEMES,
    MAX_FIRST_CHUNK_PHONEMES,
    PhonemizedText,
    Phonemizer,
)
from homeport.engines.speech.voices import OPENAI_VOICES, SpeechLanguage

ALLOY = OPENAI_VOICES["alloy"]


@pytest.fixture(scope="session")
def reader(kokoro: Mapping[str, Path]) -> Phonemizer:
    """A reader for the real model's alphabet."""
    return Phonemizer(frozenset(json.loads(kokoro["vocabulary"].read_text("utf-8"))["vocab"]))


def said(reading: PhonemizedText) -> list[tuple[str, str]]:
    """Language and phonemes of each chunk."""
    return [(chunk.language.value, chunk.phonemes) for chunk in reading.chunks]


def test_each_sentence_is_read_in_its_language(reader: Phonemizer) -> None:
    """English and Mandarin sentences of one input become chunks of their own language."""
    read = reader.phonemize("Good morning, everyone here. 今天天气很好，我们走吧。", ALLOY)
    assert said(read) == [
        ("english", "ɡˈʊd mˈɔɹnɪŋ, ˈɛvɹiwən hˈɪɹ."),
        ("mandarin", "ʨi→ntʰjɛ→ntʰjɛ→nʨʰi↘ xə↓n xau↓, wo↓mən ʦou↓ pa."),
    ]
    assert read.skipped == ""


def test_words_of_the_other_language_are_read_in_it(reader: Phonemizer) -> None:
    """Latin words inside Mandarin are English with their own digits, and Han inside English is Mandarin."""
    ((language, phonemes),) = said(reader.phonemize("我用 GPT-4 写 2 个程序。", ALLOY))
    assert language == SpeechLanguage.MIXED
    assert "ʤˌipˌitˈi" in phonemes
    assert "ljaŋ" not in phonemes
    assert "lja↓ŋ kɤ↘" in phonemes
    ((language, phonemes),) = said(reader.phonemize("The word 你好 means hello.", ALLOY))
    assert (language, "ni↓xau↓" in phonemes) == (SpeechLanguage.MIXED, True)


@pytest.mark.parametrize(
    ("text", "heard"),
    [
        ("It costs $5.50.", "fˈIv dˈɑləɹz ænd fˈɪfti sˈɛnts"),
        ("In 1999.", "nˌIntˈin nˈIndi nˈIn"),
        ("About 12.5%.", "twˈɛlv pYnt fˈIv pəɹsˈɛnt"),
        ("Some 3 kg.", "θɹˈi kˈɪləɡɹˌæmz"),
        ("Dr. Smith.", "dˈɑktəɹ smˈɪθ"),
        ("On Jan. 3rd.", "ʤˈænjəwˌɛɹi θˈɜɹd"),
    ],
)
def test_english_numbers_and_abbreviations_are_read_out(reader: Phonemizer, text: str, heard: str) -> None:
    """Money, years, percentages, units, titles and dates are words, and their full stops end no sentence."""
    ((_, phonemes),) = said(reader.phonemize(text, ALLOY))
    assert heard in phonemes


def test_british_voices_read_british_english(reader: Phonemizer) -> None:
    """The same word sounds as the voice's country has it."""
    ((_, there),) = said(reader.phonemize("A dance.", OPENAI_VOICES["fable"]))
    ((_, here),) = said(reader.phonemize("A dance.", ALLOY))
    assert ("ɑː" in there, "æ" in here) == (True, True)


def test_sentences_end_where_they_end(reader: Phonemizer) -> None:
    """Stops inside numbers, initials and abbreviations do not cut; paragraphs have longer pauses than sentences."""
    text = (
        "We met J. K. Rowling at 3.14 p.m. in the house, e.g. yesterday evening. Then everybody went home again."
        "\n\nEnd of the whole long story here."
    )
    read = reader.phonemize(text, ALLOY)
    assert len(read.chunks) == 3
    pauses = [chunk.pause_s for chunk in read.chunks]
    assert pauses[1] > pauses[0] > 0


def test_long_sentences_are_cut_at_clauses(reader: Phonemizer) -> None:
    """No chunk is over its limit, the first is the shortest, and cuts are behind commas where there are any."""
    text = ", ".join(["the quick brown fox jumps over the lazy dog"] * 20) + "."
    chunks = reader.phonemize(text, ALLOY).chunks
    assert len(chunks[0].phonemes) <= MAX_FIRST_CHUNK_PHONEMES
    assert all(len(chunk.phonemes) <= MAX_CHUNK_PHONEMES for chunk in chunks)
    assert all(chunk.phonemes[-1] in ",." for chunk in chunks)


def test_very_short_sentences_are_joined(reader: Phonemizer) -> None:
    """One-word sentences are spoken together with their neighbour."""
    assert len(reader.phonemize("Yes. No. Maybe.", ALLOY).chunks) == 1


def test_what_cannot_be_read_is_named(reader: Phonemizer) -> None:
    """Emoji and other scripts are skipped and told, each character once."""
    read = reader.phonemize("Hello there 😀😀 and да, my friend.", ALLOY)
    assert read.skipped == "😀да"
    assert len(read.chunks) == 1


@pytest.mark.parametrize(
    "text", ["Привет, как дела?", "こんにちは", "مرحبا", "Привет bob", "😀", "...", "   \n", "﷽", "\x00"]
)
def test_a_text_nobody_can_read_is_refused(reader: Phonemizer, text: str) -> None:
    """A text mostly in another script, or with nothing to say in it, is refused, and the input named."""
    with pytest.raises(InvalidRequest) as refused:
        reader.phonemize(text, ALLOY)
    assert refused.value.param == "input"


def test_phonemes_cannot_be_smuggled_in(reader: Phonemizer) -> None:
    """What looks like the phonemizer's own markup is read as text."""
    ((_, phonemes),) = said(reader.phonemize("[hello](/zˈuluzˈulu/)", ALLOY))
    assert phonemes.startswith("(həlˈO)")


@settings(max_examples=150, deadline=None)
@given(
    text=st.text(st.characters(exclude_categories=["Cs"]), max_size=80) | st.text("aZ9 .,，。你好$%-/:‘’'", max_size=60)
)
def test_no_text_breaks_the_reader(reader: Phonemizer, text: str) -> None:
    """Whatever is written is read in bounds of the model, or refused with a reason."""
    try:
        read = reader.phonemize(text, ALLOY)
    except InvalidRequest:
        return
    assert read.chunks
    assert all(0 < len(chunk.phonemes) <= MAX_CHUNK_PHONEMES for chunk in read.chunks)
