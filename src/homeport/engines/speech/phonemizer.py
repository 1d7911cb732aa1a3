"""A text as the chunks it is spoken in: sentences, each in its language, as phonemes short enough for the model.

Knows nothing of sound. Which characters cannot be read is said, not hidden: they are given back.
"""

import re
import unicodedata
from collections.abc import Iterator

import msgspec

from homeport.domain.errors import InvalidRequest
from homeport.engines.speech import mandarin_normalizer, pinyin
from homeport.engines.speech.english import English
from homeport.engines.speech.voices import SpeechLanguage, Voice

MAX_CHUNK_PHONEMES = 220
"""Phonemes in one chunk: the model takes 510, but its work on one chunk should not take many seconds."""
MAX_FIRST_CHUNK_PHONEMES = 90
"""Phonemes in the first chunk: the shorter it is, the sooner sound comes."""
_MIN_CHUNK_PHONEMES = 24  # Kokoro speaks a lone short sentence hastily: it is joined to the one behind it
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
_MARK = "\ue000"  # stands for a Latin name while the numbers around it are read
_CLAUSES = re.compile(r"(?<=[,;:—…)”])\s*")


class PhonemeChunk(msgspec.Struct, frozen=True):
    """What the model speaks at once, whose voice it is, and the silence behind it at normal speed."""

    phonemes: str
    language: SpeechLanguage
    pause_s: float


class PhonemizedText(msgspec.Struct, frozen=True):
    """A whole text's chunks, and the characters in it that nobody can read."""

    chunks: tuple[PhonemeChunk, ...]
    skipped: str


class Phonemizer:
    """Reads texts for a model with this alphabet."""

    def __init__(self, alphabet: frozenset[str]) -> None:
        self._alphabet = alphabet
        self._english = English()

    def phonemize(self, text: str, voice: Voice) -> PhonemizedText:
        """Read a text. Raises InvalidRequest where most of it is in a script that nobody here can read."""
        clean, skipped = _legible(text)
        chunks: list[PhonemeChunk] = []
        leans_mandarin = _is_mandarin(clean, otherwise=False)
        for sentence, pause_s in _sentences(clean):
            is_mandarin = _is_mandarin(sentence, otherwise=leans_mandarin)
            said = self._sentence(sentence, is_mandarin, voice.is_british)
            if any(each.isalpha() for each in said):
                chunks.append(PhonemeChunk(said, _language(sentence, is_mandarin), pause_s))
        if not chunks:
            raise InvalidRequest(
                "There is nothing to speak in the input: English and Mandarin can be read, and nothing else.",
                param="input",
                code="invalid_value",
            )
        return PhonemizedText(tuple(_split_long_chunks(_merge_short_chunks(chunks))), skipped)

    def _sentence(self, sentence: str, is_mandarin: bool, is_british: bool) -> str:
        """One sentence as phonemes."""
        if is_mandarin:
            sentence = _normalise_mandarin(sentence)
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
        said = _HAN_RUN.sub(lambda run: f" {pinyin.phonemes(run.group())} ", text)
        return said.translate(_PUNCTUATION_MAP).strip()


def _normalise_mandarin(sentence: str) -> str:
    """A Mandarin sentence without digits and signs, but for those inside a Latin name (`GPT-4`, `iPhone 15 Pro`)."""
    kept: list[str] = []

    def keep(run: re.Match[str]) -> str:
        if _WORDS_ONLY.fullmatch(run.group()):
            return run.group()
        kept.append(run.group())
        return _MARK

    said = mandarin_normalizer.normalize(_LATIN_RUN.sub(keep, sentence.replace(_MARK, " ")))
    return re.sub(_MARK, lambda _: kept.pop(0), said)


def _legible(text: str) -> tuple[str, str]:
    """The text without what cannot be read, and what that was, each character once."""
    text = re.sub(
        r"[！-～]", lambda each: chr(ord(each.group()) - 0xFEE0) if each.group().isalnum() else each.group(), text
    )
    kept: list[str] = []
    skipped: dict[str, None] = {}
    foreign = readable = 0
    for each in unicodedata.normalize("NFC", text):
        if _can_read(each):
            kept.append(each)
            readable += each.isalnum()
        else:
            kept.append(" ")
            if unicodedata.category(each)[0] not in "CZM":
                skipped[each] = None
            foreign += each.isalpha()
    if foreign > readable:
        raise InvalidRequest(
            "Most of the input is in a script that cannot be read here: English and Mandarin can be spoken.",
            param="input",
            code="invalid_value",
        )
    return "".join(kept), "".join(skipped)


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
    """Whether a text is Mandarin with some English in it, not the other way round."""
    han = len(_IS_HAN.findall(text))
    words = len(_WORD.findall(text))
    return han >= words if han or words else otherwise


def _language(sentence: str, is_mandarin: bool) -> SpeechLanguage:
    if _IS_HAN.search(sentence) and _WORD.search(sentence):
        return SpeechLanguage.MIXED
    return SpeechLanguage.MANDARIN if is_mandarin else SpeechLanguage.ENGLISH


def _sentences(text: str) -> Iterator[tuple[str, float]]:
    """The sentences, and the pause behind each."""
    for paragraph in re.split(r"\n\s*\n", text):
        found = [part for line in paragraph.split("\n") for part in _split(line.strip()) if part.strip()]
        for number, sentence in enumerate(found, 1):
            yield sentence, _PAUSES_S["sentence" if number < len(found) else "paragraph"]


def _split(line: str) -> Iterator[str]:
    start = 0
    for end in _END.finditer(line):
        if _ends(line, end):
            yield line[start : end.end()].strip()
            start = end.end()
    yield line[start:].strip()


def _ends(line: str, end: re.Match[str]) -> bool:
    """Whether a sentence ends here: not at `3.14`, `Dr. Smith`, `J. K.`, or before a small letter."""
    if end.group()[0] in "。！？｡":
        return True
    behind = line[end.end() :]
    if behind and not behind[0].isspace() and not _IS_HAN.match(behind[0]):
        return False
    if behind.strip()[:1].islower():
        return False
    if not end.group().startswith(".") or end.group().startswith(".."):
        return True
    word = line[: end.start()].rpartition(" ")[2].lstrip("(\"“'").lower()
    return _TITLES.fullmatch(word) is None


def _merge_short_chunks(chunks: list[PhonemeChunk]) -> Iterator[PhonemeChunk]:
    """Sentences too short to be spoken well, joined to their neighbours in the same language."""
    held: PhonemeChunk | None = None
    for chunk in chunks:
        if held is None:
            held = chunk
            continue
        is_short = min(len(held.phonemes), len(chunk.phonemes)) < _MIN_CHUNK_PHONEMES
        if (
            is_short
            and held.language is chunk.language
            and len(held.phonemes) + len(chunk.phonemes) < MAX_FIRST_CHUNK_PHONEMES
        ):
            held = PhonemeChunk(f"{held.phonemes} {chunk.phonemes}", chunk.language, chunk.pause_s)
        else:
            yield held
            held = chunk
    if held:
        yield held


def _split_long_chunks(chunks: Iterator[PhonemeChunk]) -> Iterator[PhonemeChunk]:
    """Split into chunks of at most `MAX_CHUNK_PHONEMES` phonemes, at clauses, else at words.

    The first chunk has at most `MAX_FIRST_CHUNK_PHONEMES`.
    """
    is_first = True
    for chunk in chunks:
        left = chunk.phonemes
        while left:
            most = MAX_FIRST_CHUNK_PHONEMES if is_first else MAX_CHUNK_PHONEMES
            cut = len(left) if len(left) <= most else _cut_position(left, most)
            part, left = left[:cut].strip(), left[cut:].strip()
            pause = chunk.pause_s if not left else _PAUSES_S["clause" if part[-1:] in ",;:—…)”" else "none"]
            if any(each.isalpha() for each in part):
                yield PhonemeChunk(part, chunk.language, pause)
                is_first = False


def _cut_position(phonemes: str, most: int) -> int:
    """Where to cut: behind the last clause that fits, else the last word, else anywhere."""
    ends = [end.end() for end in _CLAUSES.finditer(phonemes) if _MIN_CHUNK_PHONEMES <= end.end() <= most]
    if ends:
        return ends[-1]
    word = phonemes.rfind(" ", _MIN_CHUNK_PHONEMES, most)
    return word if word > 0 else most
