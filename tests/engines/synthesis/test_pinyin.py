"""Mandarin as phonemes."""

import pytest
from pypinyin import Style, pinyin
from pypinyin.constants import PINYIN_DICT

from homeport.engines.synthesis.pinyin import phonemes, syllable


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("ma1", "ma→"),
        ("hao3", "xau↓"),
        ("shi4", "ʂɨ↘"),
        ("zi5", "ʦɨ"),
        ("xue2", "ɕɥe↗"),
        ("lv4", "ly↘"),
        ("quan2", "ʨʰɥɛ↗n"),
        ("yuan2", "ɥɛ↗n"),
        ("liu2", "ljou↗"),
        ("zhun3", "ꭧwə↓n"),
        ("er2", "ɚ↗"),
        ("weng1", "wə→ŋ"),
        ("", ""),
        ("hello", ""),
        ("xyz4", ""),
    ],
)
def test_a_syllable_has_initial_final_and_tone(written: str, expected: str) -> None:
    """Short forms of pinyin are expanded; an invalid syllable gives nothing."""
    assert syllable(written) == expected


def test_every_syllable_of_the_dictionary_can_be_spoken() -> None:
    """Of all readings of all characters in the dictionary, only a handful of dialect ones has no phonemes."""
    written = {
        reading
        for code in PINYIN_DICT
        for reading in pinyin(chr(code), Style.TONE3, heteronym=True, neutral_tone_with_five=True)[0]
    }
    assert len(written) > 1200
    assert {each for each in written if not syllable(each)} <= {"wong4"}


def test_words_are_kept_together() -> None:
    """Words are separated by a space, and a character is read as in its word."""
    assert phonemes("银行行长") == "i↗nxa↗ŋxa↗ŋꭧa↓ŋ"
    assert phonemes("我们旅行") == "wo↓mən ly↓ɕi↗ŋ"
