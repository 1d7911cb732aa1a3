"""The words of a text, in the writing systems of many languages, in a form in which they are compared.

Words of alphabets are compared without case and plural endings. Chinese, Japanese and Korean, which separate no words
by spaces, are cut into single characters and pairs of neighbors. Knows nothing of what words are compared for.
"""

import re
import unicodedata
from collections.abc import Iterator

_UNSPACED = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
_WORD = re.compile(rf"[{_UNSPACED}]+|[^\W_{_UNSPACED}]+")
_IS_UNSPACED = re.compile(rf"[{_UNSPACED}]")
_MAX_WORD_CHARS = 64


def words_of(text: str) -> Iterator[str]:
    """Yield the words of a text, in order."""
    for match in _WORD.finditer(unicodedata.normalize("NFKC", text).casefold()):
        word = match[0]
        if _IS_UNSPACED.match(word):
            yield from word
            yield from (word[at : at + 2] for at in range(len(word) - 1))
        else:
            yield _singular(word[:_MAX_WORD_CHARS])


def _singular(word: str) -> str:
    if len(word) > 4 and word.endswith("ies"):
        return f"{word[:-3]}y"
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word
