"""Splits lyrics into phrases, and the phonemes of a phrase into syllables: each is sung to one note.

A phrase is a line of the lyrics, or a part of one that is too long for one breath. Lines in square brackets, such as
`[Chorus]`, name parts of a song and are not sung. Knows nothing of notes or audio.
"""

import re
from collections.abc import Iterator

import msgspec

from homeport.domain.errors import InvalidRequest
from homeport.engines.synthesis.phonemizer import Phonemizer
from homeport.engines.synthesis.voices import SpeechLanguage, Voice

MAX_SYLLABLES = 14
"""The work of a phrase is bounded, and so is a singer's breath."""
_VOWELS = frozenset("aeiouyæɑɒɔəɛɜɪʊʌɐɚɤɨᵊᵻAIOQWY")
# Two signs, one syllable: of Mandarin, and of British English. American diphthongs are one sign (`A` as in day).
_DIPHTHONGS = frozenset(("ai", "au", "ei", "ou", "ɪə", "eə", "ʊə"))
_PART_NAME = re.compile(r"\s*[\[【].*[\]】]\s*")
_LETTERS = re.compile(r"[A-Za-zÀ-ɏ\u3007\u3400-\u4dbf\u4e00-\u9fff]")
_PAUSES = ",;:—….!?"
_PAUSE_NEARER = 3.5  # syllables by which a pause may be farther from the middle than another boundary


class SungText(msgspec.Struct, frozen=True):
    """The phonemes of one phrase and, of each syllable, the index of the phoneme that is held for the note."""

    phonemes: str
    language: SpeechLanguage
    nuclei: tuple[int, ...]


class LyricsReader:
    """Reads lyrics for a voice."""

    def __init__(self, alphabet: frozenset[str]) -> None:
        self._phonemizer = Phonemizer(alphabet)

    def phrases(self, lyrics: str, voice: Voice) -> Iterator[SungText]:
        """Iterate over the phrases; a line is read when its turn comes. Unreadable lines are left out."""
        for line in sung_lines(lyrics):
            try:
                chunks = self._phonemizer.phonemize(line, voice).chunks
            except InvalidRequest:
                continue
            for chunk in chunks:
                for phonemes in split_phrase(chunk.phonemes):
                    yield SungText(phonemes, chunk.language, nuclei(phonemes))


def sung_lines(lyrics: str) -> tuple[str, ...]:
    """Return the lines that have something to sing. Raises InvalidRequest if there is none, or most is unreadable."""
    lines = tuple(line.strip() for line in lyrics.splitlines() if not _PART_NAME.fullmatch(line))
    letters = [each for line in lines for each in line if each.isalpha()]
    readable = sum(_LETTERS.match(each) is not None for each in letters)
    if not readable or readable * 2 < len(letters):
        raise InvalidRequest(
            "The lyrics have nothing to sing: only English and Mandarin are supported.",
            param="lyrics",
            code="invalid_value",
        )
    return tuple(line for line in lines if _LETTERS.search(line))


def nuclei(phonemes: str) -> tuple[int, ...]:
    """Return the index of the first vowel of each syllable; a text without vowels (as `Hm`) has one syllable."""
    found: list[int] = []
    for at, phoneme in enumerate(phonemes):
        is_second = at > 0 and phonemes[at - 1 : at + 1] in _DIPHTHONGS and at - 1 in found[-1:]
        if phoneme in _VOWELS and not is_second:
            found.append(at)
    return tuple(found) or tuple(at for at, each in enumerate(phonemes) if each.isalpha())[-1:]


def split_phrase(phonemes: str) -> tuple[str, ...]:
    """Split at pauses and words into parts of at most `MAX_SYLLABLES`, as equal as they can be.

    A single word with more syllables is left whole up to the next limit, and cut there.
    """
    count = len(nuclei(phonemes))
    if count <= MAX_SYLLABLES:
        return (phonemes.strip(),) if count else ()
    cut = _best_cut(phonemes)
    return (*split_phrase(phonemes[:cut]), *split_phrase(phonemes[cut:]))


def _best_cut(phonemes: str) -> int:
    """Return the boundary of words nearest to the middle, where a pause counts as nearer."""
    found = nuclei(phonemes)
    middle, nearer = len(found) / 2, max(_PAUSE_NEARER, len(found) / 8)
    best, least = found[len(found) // 2], float(len(found))
    for at, phoneme in enumerate(phonemes):
        if phoneme != " ":
            continue
        before = sum(nucleus < at for nucleus in found)
        distance = abs(before - middle) - (nearer if phonemes[at - 1 : at] in _PAUSES else 0)
        if 0 < before < len(found) and distance < least:
            best, least = at, distance
    return best
