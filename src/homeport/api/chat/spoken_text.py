"""Text that is spoken while it is still being written: cut into pieces, and freed of marks that nobody would read.

A piece ends where a speech may pause. The first one is short, so that speech starts soon; later ones are as long as
what has been written meanwhile. Knows nothing of models or of audio.
"""

import re

_FIRST_WEIGHT = 50
_MAX_WEIGHT = 420
_MIN_WEIGHT = 24
"""A shorter piece would be spoken too fast, or as if cut off."""
_HAN_WEIGHT = 4
"""What a Han character counts for: it takes about as long as this many letters."""

_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")
_SENTENCE = re.compile(
    r"""(?<!\d)(?<!\b[A-Z])(?<!\bMr)(?<!\bMrs)(?<!\bMs)(?<!\bDr)(?<!\bvs)[.!?…]+["'”’)\]]*(?=\s)"""
    r"|[。！？｡]+[”’」』）]*|\n+"
)
_CLAUSE = re.compile(r"[,;:)](?=\s)|[，、；：）]|\s[-–—]+(?=\s)|——")
_SPACE = re.compile(r"\s+|(?<=[\u4e00-\u9fff])(?=[\u4e00-\u9fff])")
_LINK = re.compile(r"!?\[([^\]\n]*)\]\([^)\s]*\)")
_MARKS = re.compile(r"^\s{0,3}(?:#{1,6}\s+|>\s?|[-*+]\s+|```\w*\s*$)|\*+|`+|~~|\|", re.MULTILINE)


class SpokenText:
    """The text of one answer. `add` it while it arrives, then `end`; `take` a piece whenever the last one is spoken."""

    def __init__(self) -> None:
        self._rest = ""
        self._has_ended = False
        self._is_first = True

    @property
    def is_over(self) -> bool:
        """Whether all of it has been taken."""
        return self._has_ended and not self._rest

    def add(self, text: str) -> None:
        """Add what was written."""
        self._rest += text

    def end(self) -> None:
        """Mark the text as complete."""
        self._has_ended = True

    def take(self) -> str | None:
        """Return the next piece, which may have nothing to speak; None: more text is needed, or it is over."""
        limit = _position(self._rest, _FIRST_WEIGHT if self._is_first else _MAX_WEIGHT)
        if limit is None and self._has_ended:
            end: int | None = len(self._rest)
        else:
            end = self._first_end(limit) if self._is_first else self._next_end(limit)
        if not end:
            return None
        piece, self._rest = self._rest[:end], self._rest[end:]
        self._is_first = self._is_first and not is_speakable(piece)
        return piece

    def _first_end(self, limit: int | None) -> int | None:
        """Return the end of the first sentence or clause, or of as many words as a short piece has.

        `limit`: the characters of a short piece; None: there are fewer.
        """
        ends = sorted(_ends(self._rest, _SENTENCE) + _ends(self._rest, _CLAUSE))
        near = next((end for end in ends if weight(self._rest[:end]) >= _MIN_WEIGHT), None)
        if near is not None and (limit is None or near <= limit):
            return near
        return None if limit is None else _last(_ends(self._rest, _SPACE), limit) or limit

    def _next_end(self, limit: int | None) -> int | None:
        """Return the end of the last complete sentence that fits, else that of a clause if the text is long.

        `limit`: the characters that fit; None: all of them.
        """
        end = _last(_ends(self._rest, _SENTENCE), len(self._rest) if limit is None else limit)
        if end is not None and weight(self._rest[:end]) >= _MIN_WEIGHT:
            return end
        if limit is None:
            return None
        return _last(_ends(self._rest, _CLAUSE), limit) or _last(_ends(self._rest, _SPACE), limit) or limit


def weight(text: str) -> int:
    """Return about how long a text takes to speak, in letters."""
    return len(text) + (_HAN_WEIGHT - 1) * len(_HAN.findall(text))


def is_speakable(text: str) -> bool:
    """Return whether a text has a letter or digit."""
    return any(each.isalnum() for each in text)


def ends_sentence(piece: str) -> bool:
    """Return whether a piece ends a sentence, after which a speech pauses longer."""
    return bool(_SENTENCE.search(f"{piece.rstrip()[-4:]} "))


def to_speech(text: str) -> str:
    """Return a text without the marks of Markdown."""
    return _MARKS.sub("", _LINK.sub(r"\1", text)).strip()


def _ends(text: str, pattern: re.Pattern[str]) -> list[int]:
    return [match.end() for match in pattern.finditer(text)]


def _last(ends: list[int], limit: int) -> int | None:
    return max((end for end in ends if 0 < end <= limit), default=None)


def _position(text: str, limit: int) -> int | None:
    """Return how many characters have a weight of `limit`; None if the text has less."""
    total = 0
    for at, each in enumerate(text):
        total += _HAN_WEIGHT if _HAN.match(each) else 1
        if total >= limit:
            return at + 1
    return None
