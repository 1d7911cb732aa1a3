"""Finds which files support the sentences of an answer: by the numbers that the model writes, or by the words.

Models that were not trained to cite seldom do, so a sentence is compared with the chunks that the model has read. Knows
nothing of how messages are sent.
"""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from homeport.api.responses.output_items import FileCitation
from homeport.domain.responses import Item
from homeport.domain.words import words_of

MIN_SHARED_WORDS, MIN_SHARE = 3, 0.5
"""How many words of a sentence a chunk must have to support it, and which share of the sentence's words."""
MAX_QUOTE_CHARS = 300
MAX_CITATIONS = 64
_SENTENCE_END = re.compile(r"[\n。！？；]+|[.!?]+(?=\s|$)")
_MARK = re.compile(r"\[(\d{1,3})\]|【(\d{1,3})[^】]{0,40}】")
_CALL = '"file_search_call"'
_ENGLISH = (
    "a an and are as at be by can do does for from has have he how if in is it its not of on or our she that the their "
    "there they this to was we were what when where which who will with you your"
)
_CHINESE = "的了是在和有我你他她它们这那不也就都与及或为以于"
_COMMON = frozenset((*_ENGLISH.split(), *_CHINESE))
"""Words that say little of what a sentence is about."""


class _Result(msgspec.Struct):
    file_id: str
    filename: str
    text: str


class _Call(msgspec.Struct):
    type: str = ""
    results: list[_Result] | None = None


class _Source(NamedTuple):
    """A chunk that the model has read, and its words."""

    result: _Result
    words: frozenset[str]


def cite(text: str, items: Sequence[Item]) -> Sequence[FileCitation]:
    """Return the citations of a message, in order. `items`: those before it, of which searches have results."""
    results = [result for item in items if _CALL in item.body for result in _results_of(item)]
    if not results or not text.strip():
        return ()
    sources = [_Source(result, frozenset(_content_words(result.text))) for result in results]
    citations: list[FileCitation] = []
    for start, sentence in _sentences(text):
        for result in _supporters(sentence, sources):
            citation = FileCitation(
                file_id=result.file_id,
                filename=result.filename,
                index=start + len(sentence.rstrip()),
                quote=_quote(sentence, result.text),
            )
            citations.append(citation)
        if len(citations) >= MAX_CITATIONS:
            break
    return citations[:MAX_CITATIONS]


def _sentences(text: str) -> Iterator[tuple[int, str]]:
    """Yield where each sentence begins, and the sentence with what ends it."""
    start = 0
    for match in _SENTENCE_END.finditer(text):
        yield start, text[start : match.end()]
        start = match.end()
    if start < len(text):
        yield start, text[start:]


def _results_of(item: Item) -> Sequence[_Result]:
    call = msgspec.json.decode(item.body, type=_Call)
    return (call.results or ()) if call.type == "file_search_call" else ()


def _supporters(sentence: str, sources: Sequence[_Source]) -> Iterator[_Result]:
    """Yield the results that a sentence names by number; without any, the one that has most of its words."""
    numbers = {int(match[1] or match[2]) for match in _MARK.finditer(sentence)}
    named = [sources[number - 1].result for number in sorted(numbers) if 0 < number <= len(sources)]
    if named:
        yield from {result.file_id: result for result in named}.values()
        return
    words = set(_content_words(sentence))
    least = max(MIN_SHARED_WORDS, MIN_SHARE * len(words))
    best = max(sources, key=lambda source: len(words & source.words))
    if len(words & best.words) >= min(least, max(len(words), 2)):
        yield best.result


def _quote(sentence: str, chunk: str) -> str:
    """Return the sentence of a chunk that has most words in common with a sentence of the answer."""
    words = set(_content_words(sentence))
    quotes = [each.strip() for _, each in _sentences(chunk)]
    best = max((each for each in quotes if each), key=lambda each: len(words & set(_content_words(each))), default="")
    return best[:MAX_QUOTE_CHARS]


def _content_words(text: str) -> Iterator[str]:
    """Yield the words of a text without those that all texts have."""
    return (word for word in words_of(text) if word not in _COMMON)
