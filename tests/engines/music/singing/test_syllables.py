"""Lyrics as phrases, and phonemes as syllables."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from homeport.domain.errors import InvalidRequest
from homeport.engines.music.singing.syllables import (
    MAX_SYLLABLES,
    LyricsReader,
    nuclei,
    split_phrase,
    sung_lines,
)
from homeport.engines.synthesis.voices import OPENAI_VOICES, SpeechLanguage

CORAL = OPENAI_VOICES["coral"]


@pytest.fixture(scope="session")
def reader(kokoro: Mapping[str, Path]) -> LyricsReader:
    """A reader for the real model's alphabet."""
    return LyricsReader(frozenset(json.loads(kokoro["vocabulary"].read_text("utf-8"))["vocab"]))


@pytest.mark.parametrize(
    ("phonemes", "vowels"),
    [
        ("wˈɪndOz ɔn ðə mˈun", "ɪOɔəu"),
        ("pˈɜɹpᵊl", "ɜᵊ"),
        ("ʨi→ntʰjɛ→n xau↓", "iɛa"),  # 今天 hao: a glide and the second part of a diphthong are no syllables
        ("hɪə ðeə", "ɪe"),
        ("ŋ", "ŋ"),
        ("...", ""),
    ],
)
def test_each_vowel_is_a_syllable(phonemes: str, vowels: str) -> None:
    """A syllable is found for each vowel or diphthong, or for a word without any."""
    assert "".join(phonemes[at] for at in nuclei(phonemes)) == vowels


def test_a_mandarin_character_is_a_syllable(reader: LyricsReader) -> None:
    """A Mandarin line has as many syllables as characters."""
    (text,) = reader.phrases("月亮照着回家的小路", CORAL)
    assert (text.language, len(text.nuclei)) == (SpeechLanguage.MANDARIN, 9)


def test_english_syllables(reader: LyricsReader) -> None:
    """An English line has as many syllables as a singer would count."""
    (text,) = reader.phrases("Seven purple turtles painted windows on the moon", CORAL)
    assert (text.language, len(text.nuclei)) == (SpeechLanguage.ENGLISH, 13)


def test_names_of_parts_and_empty_lines_are_not_sung(reader: LyricsReader) -> None:
    """`[Chorus]`, empty lines and lines of signs have no phrase."""
    lyrics = "[Verse 1]\nThe river runs\n\n【副歌】\n ♪ ♪ \nThe river sings\n"
    assert sung_lines(lyrics) == ("The river runs", "The river sings")
    assert len(list(reader.phrases(lyrics, CORAL))) == 2


def test_a_long_line_is_split_between_words() -> None:
    """A phrase has a bounded number of syllables, and no word and no phoneme is lost."""
    phonemes = " ".join(["mˈunlIt", "ɔn", "ðə", "wˈɔtəɹ,"] * 9)
    parts = split_phrase(phonemes)
    assert all(0 < len(nuclei(part)) <= MAX_SYLLABLES for part in parts)
    assert " ".join(parts) == phonemes
    assert all(part.endswith(",") for part in parts)


def test_a_line_without_spaces_is_split_too() -> None:
    """A word that never ends is cut."""
    parts = split_phrase("la" * 100)
    assert all(len(nuclei(part)) <= MAX_SYLLABLES for part in parts)
    assert "".join(parts) == "la" * 100


@pytest.mark.parametrize("lyrics", ["", " \n", "[Chorus]", "♪♪", "123", "Привет, как дела", "あいうえお abc"])
def test_lyrics_without_anything_to_sing_are_refused(lyrics: str) -> None:
    """Lyrics that are empty or mostly in another script are an error that names the field."""
    with pytest.raises(InvalidRequest) as refused:
        sung_lines(lyrics)
    assert refused.value.param == "lyrics"
