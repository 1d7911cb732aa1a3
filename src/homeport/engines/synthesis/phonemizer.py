"""Splits a text into chunks of phonemes: sentences, each in its language, short enough for the model.

Characters that cannot be pronounced are skipped and returned. Knows nothing of audio.
"""

import re
import unicodedata
from collections.abc import Iterator

import msgspec

from homeport.domain.errors import InvalidRequest
from homeport.engines.synthesis import mandarin_normalizer, pinyin
from homeport.engines.synthesis.english import English
from homeport.engines.synthesis.voices import SpeechLanguage, Voice

MAX_CHUNK_PHONEMES = 220
"""The model supports 510, but one chunk should not take many seconds to compute."""
MAX_FIRST_CHUNK_PHONEMES = 90
"""The shorter the first chunk is, the sooner audio starts."""
_MIN_CHUNK_PHONEMES = 24  # Kokoro speaks single short sentences too fast, so they are joined with the next one
_PAUSES_S = {"paragraph": 0.55, "sentence": 0.32, "clause": 0.12, "none": 0.0}

_HAN = "\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_IS_HAN = re.compile(f"[{_HAN}]")
_HAN_RUN = re.compile(f"[{_HAN}]+")
_WORD = re.compile(r"[A-Za-zÀ-ɏ]+(?:['’][A-Za-zÀ-ɏ]+)*")
_LATIN_RUN = re.compile(
    r"[A-Za-zÀ-ɏ][\wÀ-ɏ'’+&/.@-]*(?:[ ]+[A-Za-z0-9À-ɏ][\w'’+&/.@-]*(?=[ ]+[A-Za-zÀ-ɏ])|[ ]+[A-Za-zÀ-ɏ][\w'’+&/.@-]*)*",
    re.ASCII,
)
_PUNCTUATION_MAP = str.maketrans(
    {
        "，": ", ", "、": ", ", "。": ". ", "！": "! ", "？": "? ", "；": "; ", "：": ": ", "（": " (", "）": ") ",
        "「": " “", "」": "” ", "『": " “", "』": "” ",
        "《": " “", "》": "” ", "【": " “", "】": "” ", "〈": " “", "〉": "” ",
        "·": " ", "～": "~", "｡": ". ", "‘": "'", "’": "'", "«": " “", "»": "” ", "„": "“", "[": " (", "]": ") ",
        "{": " (", "}": ") ", "–": "—", "⋯": "…",
    }
)  # fmt: skip
_END = re.compile(r"[.!?…。！？｡]+[\"”’'」』）)\]》]*")
_TITLES = re.compile(
    r"mr|mrs|ms|dr|prof|sr|jr|st|vs|etc|no|nos|vol|fig|pp|ed|inc|ltd|co|corp|approx|dept|est|gen|col|sgt|capt|lt|rev|hon"
    r"|e\.g|i\.e|a\.m|p\.m|u\.s|u\.k|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec|[a-z]"
)
_WORDS_ONLY = re.compile(r"[A-Za-zÀ-ɏ '’]+")
_MARK = "\ue000"  # replaces a Latin name while the numbers around it are normalized
_CLAUSES = re.compile(r"(?<=[,;:—…)”])\s*")


class PhonemeChunk(msgspec.Struct, frozen=True):
    """The phonemes of one call of the model, their language, and the silence after them at normal speed."""

    phonemes: str
    language: SpeechLanguage
    pause_s: float


class PhonemizedText(msgspec.Struct, frozen=True):
    """The chunks of a text, and its characters that cannot be pronounced."""

    chunks: tuple[PhonemeChunk, ...]
    skipped: str


class Phonemizer:
    """Phonemizes texts for a model with this alphabet."""

    def __init__(self, alphabet: frozenset[str]) -> None:
        self._alphabet = alphabet
        self._english = English()

    def phonemize(self, text: str, voice: Voice) -> PhonemizedText:
        """Phonemize a text. Raises InvalidRequest if most of it is in an unsupported script."""
        readable, skipped = _remove_unreadable(text)
        chunks: list[PhonemeChunk] = []
        default_mandarin = _is_mandarin(readable, otherwise=False)
        for sentence, pause_s in _sentences(readable):
            is_mandarin = _is_mandarin(sentence, otherwise=default_mandarin)
            phonemes = self._sentence(sentence, is_mandarin, voice.is_british)
            if any(each.isalpha() for each in phonemes):
                chunks.append(PhonemeChunk(phonemes, _language(sentence, is_mandarin), pause_s))
        if not chunks:
            raise InvalidRequest(
                "The input has nothing to speak: only English and Mandarin are supported.",
                param="input",
                code="invalid_value",
            )
        return PhonemizedText(tuple(_split_long_chunks(_merge_short_chunks(chunks))), skipped)

    def _sentence(self, sentence: str, is_mandarin: bool, is_british: bool) -> str:
        """Return the phonemes of one sentence."""
        if is_mandarin:
            sentence = _normalize_mandarin(sentence)
        parts: list[str] = []
        at = 0
        foreign = _LATIN_RUN if is_mandarin else _HAN_RUN
        for run in foreign.finditer(sentence):
            parts += [self._phonemize_part(sentence[at : run.start()], is_mandarin, is_british)]
            parts += [self._phonemize_part(run.group(), not is_mandarin, is_british)]
            at = run.end()
        parts.append(self._phonemize_part(sentence[at:], is_mandarin, is_british))
        joined = "".join(each for each in " ".join(filter(None, parts)) if each in self._alphabet)
        return re.sub(r"\s+([,.!?;:…”)])", r"\1", re.sub(r"\s+", " ", joined)).strip()

    def _phonemize_part(self, text: str, is_mandarin: bool, is_british: bool) -> str:
        if not text.strip():
            return ""
        if not is_mandarin:
            return self._english.phonemes(text.translate(_PUNCTUATION_MAP), is_british=is_british)
        phonemes = _HAN_RUN.sub(lambda run: f" {pinyin.phonemes(run.group())} ", text)
        return phonemes.translate(_PUNCTUATION_MAP).strip()


def _normalize_mandarin(sentence: str) -> str:
    """Spell out digits and signs of a Mandarin sentence, except inside a Latin name (`GPT-4`, `iPhone 15 Pro`)."""
    names: list[str] = []

    def replace_name(run: re.Match[str]) -> str:
        if _WORDS_ONLY.fullmatch(run.group()):
            return run.group()
        names.append(run.group())
        return _MARK

    normalized = mandarin_normalizer.normalize(_LATIN_RUN.sub(replace_name, sentence.replace(_MARK, " ")))
    return re.sub(_MARK, lambda _: names.pop(0), normalized)


def _remove_unreadable(text: str) -> tuple[str, str]:
    """Return the text without characters that cannot be pronounced, and those characters, each once."""
    text = re.sub(
        r"[！-～]", lambda each: chr(ord(each.group()) - 0xFEE0) if each.group().isalnum() else each.group(), text
    )
    characters: list[str] = []
    skipped: dict[str, None] = {}
    foreign = readable = 0
    for each in unicodedata.normalize("NFC", text):
        if _can_read(each):
            characters.append(each)
            readable += each.isalnum()
        else:
            characters.append(" ")
            if unicodedata.category(each)[0] not in "CZM":
                skipped[each] = None
            foreign += each.isalpha()
    if foreign > readable:
        raise InvalidRequest(
            "Most of the input is in an unsupported script: only English and Mandarin can be spoken.",
            param="input",
            code="invalid_value",
        )
    return "".join(characters), "".join(skipped)


def _can_read(each: str) -> bool:
    if each.isascii():
        return each.isprintable() or each in "\n\t"
    if _IS_HAN.match(each):
        return True
    if each.isalpha():
        return "À" <= each <= "ɏ"
    return each in _READABLE_SIGNS or ord(each) in _PUNCTUATION_MAP


_READABLE_SIGNS = frozenset("“”‘’—–…·°℃℉€£¥￥₩¢×÷±≈²³½¼¾％，。！？；：、（）～\u3000\xa0")


def _is_mandarin(text: str, *, otherwise: bool) -> bool:
    """Return whether a text is mainly Mandarin; `otherwise` if it has neither Han characters nor words."""
    han = len(_IS_HAN.findall(text))
    words = len(_WORD.findall(text))
    return han >= words if han or words else otherwise


def _language(sentence: str, is_mandarin: bool) -> SpeechLanguage:
    if _IS_HAN.search(sentence) and _WORD.search(sentence):
        return SpeechLanguage.MIXED
    return SpeechLanguage.MANDARIN if is_mandarin else SpeechLanguage.ENGLISH


def _sentences(text: str) -> Iterator[tuple[str, float]]:
    """Iterate over sentences, each with the pause after it."""
    for paragraph in re.split(r"\n\s*\n", text):
        sentences = [part for line in paragraph.split("\n") for part in _split(line.strip()) if part.strip()]
        for number, sentence in enumerate(sentences, 1):
            yield sentence, _PAUSES_S["sentence" if number < len(sentences) else "paragraph"]


def _split(line: str) -> Iterator[str]:
    start = 0
    for end in _END.finditer(line):
        if _ends(line, end):
            yield line[start : end.end()].strip()
            start = end.end()
    yield line[start:].strip()


def _ends(line: str, end: re.Match[str]) -> bool:
    """Return whether a sentence ends here: not at `3.14`, `Dr. Smith`, `J. K.`, or before a lowercase letter."""
    if end.group()[0] in "。！？｡":
        return True
    rest = line[end.end() :]
    if rest and not rest[0].isspace() and not _IS_HAN.match(rest[0]):
        return False
    if rest.strip()[:1].islower():
        return False
    if not end.group().startswith(".") or end.group().startswith(".."):
        return True
    word = line[: end.start()].rpartition(" ")[2].lstrip("(\"“'").lower()
    return _TITLES.fullmatch(word) is None


def _merge_short_chunks(chunks: list[PhonemeChunk]) -> Iterator[PhonemeChunk]:
    """Join sentences that are too short to be spoken well with neighbors in the same language."""
    previous: PhonemeChunk | None = None
    for chunk in chunks:
        if previous is None:
            previous = chunk
            continue
        is_short = min(len(previous.phonemes), len(chunk.phonemes)) < _MIN_CHUNK_PHONEMES
        if (
            is_short
            and previous.language is chunk.language
            and len(previous.phonemes) + len(chunk.phonemes) < MAX_FIRST_CHUNK_PHONEMES
        ):
            previous = PhonemeChunk(f"{previous.phonemes} {chunk.phonemes}", chunk.language, chunk.pause_s)
        else:
            yield previous
            previous = chunk
    if previous:
        yield previous


def _split_long_chunks(chunks: Iterator[PhonemeChunk]) -> Iterator[PhonemeChunk]:
    """Split into chunks of at most `MAX_CHUNK_PHONEMES` phonemes, at clauses, else at words.

    The first chunk has at most `MAX_FIRST_CHUNK_PHONEMES`.
    """
    is_first = True
    for chunk in chunks:
        left = chunk.phonemes
        while left:
            limit = MAX_FIRST_CHUNK_PHONEMES if is_first else MAX_CHUNK_PHONEMES
            cut = len(left) if len(left) <= limit else _cut_position(left, limit)
            part, left = left[:cut].strip(), left[cut:].strip()
            pause = chunk.pause_s if not left else _PAUSES_S["clause" if part[-1:] in ",;:—…)”" else "none"]
            if any(each.isalpha() for each in part):
                yield PhonemeChunk(part, chunk.language, pause)
                is_first = False


def _cut_position(phonemes: str, limit: int) -> int:
    """Return where to cut: after the last clause that fits, else after the last word, else at the limit."""
    ends = [end.end() for end in _CLAUSES.finditer(phonemes) if _MIN_CHUNK_PHONEMES <= end.end() <= limit]
    if ends:
        return ends[-1]
    word = phonemes.rfind(" ", _MIN_CHUNK_PHONEMES, limit)
    return word if word > 0 else limit
