"""Splits a prompt into the names of drawings, grammar words and other words. Knows nothing of scenes."""

import re
import unicodedata
from collections.abc import Iterator

from homeport.engines.images.pipelines.clipart.chinese import CHINESE, CLASSIFIERS
from homeport.engines.images.pipelines.clipart.english import ENGLISH
from homeport.engines.images.pipelines.clipart.grammar import Kind, Token, phrases
from homeport.engines.images.pipelines.clipart.vocabulary import DrawingVocabulary, NamedDrawing

MAX_CHARS = 1_000
"""Characters of a prompt that are read for things: sentences of things are shorter."""
_WORD = re.compile(r"[a-z0-9][a-z0-9'’]*(?:-[a-z0-9]+)*|[.,;:!?&+]")
_HAN = re.compile(r"[\u3400-\u9fff]")
_OTHER_SCRIPT = re.compile(r"[\u3040-\u30ff\uac00-\ud7af\u0370-\u1fff]")
_ACCENT = re.compile(r"[\u00c0-\u024f]")
_ENGLISH_ONLY = frozenset(phrases("the/and/with/of/next/under/behind/between/his/this/there/is/are"))
_SHARED = frozenset(phrases("a/an/in/on/at/to/for"))
_SHARED_COUNT = 3  # English words that other languages have too, from which a prompt is English
_STYLE_OF = re.compile(r"\b(?:in (?:the )?style of|in the manner of|as painted by)\b[^.,;]*|\bin [a-z' ]{1,40} style\b")
_MAX_ENGLISH_WORDS = max(phrase.count(" ") + 1 for phrase in ENGLISH)
_FIRST_WORDS = {phrase.split(" ")[0] for phrase, (kind, _) in ENGLISH.items() if kind not in {Kind.COLOR, Kind.SIZE}}
_MAX_CHINESE_CHARS = max(map(len, CHINESE))
_IRREGULAR = {
    "mice": "mouse",
    "geese": "goose",
    "men": "man",
    "women": "woman",
    "children": "child",
    "people": "person",
    "wolves": "wolf",
    "leaves": "leaf",
    "knives": "knife",
    "oxen": "ox",
    "feet": "foot",
    "teeth": "tooth",
}
_NUMBER = re.compile(rf"(\d{{1,3}})[{CLASSIFIERS}]?")


def language_of(text: str) -> str | None:
    """Return `zh` or `en` by the prompt's letters; None for others. Accents are English among English words: a café."""
    if _OTHER_SCRIPT.search(text):
        return None
    if _HAN.search(text):
        return "zh"
    if _ACCENT.search(text):
        words = re.findall(r"[a-z]+", text.lower())
        if not _ENGLISH_ONLY & set(words) and sum(word in _SHARED for word in words) < _SHARED_COUNT:
            return None
    return "en"


def english_tokens(text: str, vocabulary: DrawingVocabulary) -> Iterator[Token]:
    """Yield the tokens of an English prompt, the longest phrases first."""
    text = _without_accents(text[:MAX_CHARS].lower().replace("’", "'"))
    for style in _STYLE_OF.findall(text):
        yield Token(Kind.STYLE, style.strip())
    words = _WORD.findall(_STYLE_OF.sub(" , ", text))
    longest = max(_MAX_ENGLISH_WORDS, vocabulary.max_english_words)
    place = 0
    while place < len(words):
        for length in range(min(longest, len(words) - place), 0, -1):
            token = _english(
                " ".join(words[place : place + length]), vocabulary, words[place + length : place + length + 1]
            )
            if token is not None:
                break
        else:
            length, token = 1, Token(Kind.OTHER, words[place])
        yield token
        place += length


def chinese_tokens(text: str, vocabulary: DrawingVocabulary) -> Iterator[Token]:
    """Yield the tokens of a Chinese prompt, the longest words first; other characters together."""
    text = re.sub(r"\s+", "", text[:MAX_CHARS])
    longest = max(_MAX_CHINESE_CHARS, vocabulary.max_chinese_chars)
    place, other = 0, ""
    while place < len(text):
        token = None
        for length in range(min(longest, len(text) - place), 0, -1):
            word = text[place : place + length]
            drawing = vocabulary.chinese(word.lower())
            if drawing is not None:
                token = Token(Kind.THING, word, drawing=drawing)
            elif word in CHINESE:
                kind, value = CHINESE[word]
                token = Token(kind, word, value)
            if token:
                break
        if token is None and (number := _NUMBER.match(text, place)):
            token, length = Token(Kind.COUNT, number[0], int(number[1])), len(number[0])
        if token is None:
            other += text[place]
            place += 1
            continue
        if other:
            yield Token(Kind.OTHER, other)
            other = ""
        yield token
        place += length
    if other:
        yield Token(Kind.OTHER, other)


def _english(phrase: str, vocabulary: DrawingVocabulary, following: list[str]) -> Token | None:
    if phrase in ",:":
        return Token(Kind.AND, phrase)
    if phrase in ".;!?":
        return Token(Kind.STOP, phrase)
    drawing, is_plural = _named(phrase, vocabulary)
    if phrase in ENGLISH and not (phrase == "orange" and _ends_phrase(following)):
        kind, value = ENGLISH[phrase]
        return Token(kind, phrase, value)
    if drawing is not None:
        return Token(Kind.THING, phrase, drawing=drawing, is_plural=is_plural)
    if re.fullmatch(r"\d{1,3}", phrase):
        return Token(Kind.COUNT, phrase, int(phrase))
    return None


def _without_accents(text: str) -> str:
    return "".join(each for each in unicodedata.normalize("NFD", text) if not unicodedata.combining(each))


def _ends_phrase(following: list[str]) -> bool:
    """Whether a noun ends before the next word."""
    return not following or following[0] in _FIRST_WORDS or not following[0][0].isalnum()


def _named(phrase: str, vocabulary: DrawingVocabulary) -> tuple[NamedDrawing | None, bool]:
    """Return the drawing with this name, and whether the phrase is its plural."""
    drawing = vocabulary.english(phrase)
    if drawing is not None:
        return drawing, False
    head, _, last = phrase.rpartition(" ")
    for singular in _singulars(last):
        drawing = vocabulary.english(f"{head} {singular}".strip())
        if drawing is not None:
            return drawing, True
    return None, False


def _singulars(word: str) -> Iterator[str]:
    if word in _IRREGULAR:
        yield _IRREGULAR[word]
    if word.endswith("ies"):
        yield word[:-3] + "y"
    if word.endswith("es"):
        yield word[:-2]
    if word.endswith("s") and not word.endswith("ss"):
        yield word[:-1]
