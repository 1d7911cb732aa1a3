"""Tokens into text that may be shown: whole characters, nothing of a stop string, log-probabilities alongside.

One transcript per choice. Knows the vocabulary's bytes and nothing of end tokens, budgets or events.
"""

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from homeport.domain.events import AlternativeToken, ScoredToken
from homeport.engines.text.executor import Vocabulary
from homeport.engines.text.logprobs import TokenScore
from homeport.engines.text.stop_strings import StopStringFinder, StopStrings
from homeport.engines.text.utf8 import Utf8, token_text


class TextPiece(NamedTuple):
    """Text to give out now, and the scored tokens whose text is thereby out. Either may be empty."""

    text: str
    scored: tuple[ScoredToken, ...] = ()


class Detokenizer:
    """The text of one choice as it grows.

    Held back is only what may not be shown yet: bytes of an unfinished character, and the longest end of the text
    that could become one of the strings in `stop`. With `scores`, each token is reported once its text is out; a
    token that a stop string cuts in two is reported with the part before it, so that the tokens' bytes always spell
    exactly the text.
    """

    def __init__(self, vocabulary: Vocabulary, stop: StopStrings, *, scores: bool) -> None:
        self._vocabulary = vocabulary
        self._utf8 = Utf8()
        self._stops = StopStringFinder(stop)
        self._held = ""
        self._stopped = False
        self._offset = 0
        self._ledger = _TokenOffsets(vocabulary, 0) if scores else None

    @property
    def stopped(self) -> bool:
        """Whether a stop string was found; nothing may be pushed any more."""
        return self._stopped

    def echo(self, text: str, ids: Sequence[int], scores: Sequence[TokenScore] | None) -> TextPiece:
        """The prompt itself, given out first: stop strings in it mean nothing, and offsets go on behind it."""
        scored: tuple[ScoredToken, ...] = ()
        if self._ledger is not None and scores is not None:
            ledger, utf8 = _TokenOffsets(self._vocabulary, 0), Utf8()
            for token, score in zip(ids, scores, strict=True):
                ledger.add(token, score)
                ledger.extend(utf8.feed_measured(self._vocabulary.pieces[token])[1])
            ledger.extend([ledger.n_bytes] * len(utf8.close()))
            scored = ledger.close()
        if self._ledger is not None:
            self._ledger = _TokenOffsets(self._vocabulary, len(text))
        return TextPiece(text, scored)

    def push(self, token: int, score: TokenScore | None) -> TextPiece:
        """One generated token. Raises RuntimeError after a stop string was found."""
        if self._stopped:
            raise RuntimeError("this is a bug: a token was pushed behind a stop string")
        data = self._vocabulary.pieces[token]
        if self._ledger is None:
            return self._release(self._utf8.feed(data))
        text, ends = self._utf8.feed_measured(data)
        self._ledger.add(token, score)
        self._ledger.extend(ends)
        return self._release(text)

    def close(self) -> TextPiece:
        """The end, by an end token or by length: give out what was held. Empty after a stop string."""
        if self._stopped:
            return TextPiece("")
        text = self._utf8.close()
        if self._ledger is not None:
            self._ledger.extend([self._ledger.n_bytes] * len(text))
        return self._release(text, is_last=True)

    def _release(self, text: str, *, is_last: bool = False) -> TextPiece:
        start = self._stops.feed(text)
        pending = self._held + text
        if start is not None:
            self._stopped = True
            size = len(self._held) + start
        else:
            size = len(pending) if is_last else len(pending) - self._stops.held_characters
        self._held = pending[size:]
        if self._ledger is None:
            return TextPiece(pending[:size])
        out = self._ledger.release(size)
        if self._stopped:
            out += self._ledger.cut()
        elif is_last:
            out += self._ledger.close()
        return TextPiece(pending[:size], out)


class _TokenEntry(NamedTuple):
    token: int
    score: TokenScore | None
    start: int
    end: int


class _TokenOffsets:
    """Which tokens' text is out: keeps tokens by their bytes until the characters these became were released."""

    def __init__(self, vocabulary: Vocabulary, offset: int) -> None:
        """`offset`: characters that stand before the first token."""
        self.n_bytes = 0
        self._vocabulary = vocabulary
        self._entries: deque[_TokenEntry] = deque()
        self._ends: deque[int] = deque()  # of the characters from number `_character` on
        self._character = offset
        self._unreleased: deque[int] = deque()  # ends of the characters not yet out
        self._out = 0  # bytes whose characters are out

    def add(self, token: int, score: TokenScore | None) -> None:
        """A token, in order."""
        start = self.n_bytes
        self.n_bytes += len(self._vocabulary.pieces[token])
        self._entries.append(_TokenEntry(token, score, start, self.n_bytes))

    def extend(self, ends: Sequence[int]) -> None:
        """Characters that became whole: after how many bytes each ended."""
        self._ends.extend(ends)
        self._unreleased.extend(ends)

    def release(self, n_characters: int) -> tuple[ScoredToken, ...]:
        """So many more characters are out; the tokens that are wholly out with them."""
        for _ in range(n_characters):
            self._out = self._unreleased.popleft()
        return self._take(self._out)

    def cut(self) -> tuple[ScoredToken, ...]:
        """Nothing more comes out: what a half shown token shows."""
        entry = self._entries[0] if self._entries else None
        if entry is None or entry.start >= self._out:
            return ()
        return (self._scored(entry, self._vocabulary.pieces[entry.token][: self._out - entry.start]),)

    def close(self) -> tuple[ScoredToken, ...]:
        """Everything is out, trailing bytes of an unfinished character too."""
        return self._take(self.n_bytes)

    def _take(self, n_bytes: int) -> tuple[ScoredToken, ...]:
        taken = []
        while self._entries and self._entries[0].end <= n_bytes:
            entry = self._entries.popleft()
            taken.append(self._scored(entry, self._vocabulary.pieces[entry.token]))
        return tuple(taken)

    def _scored(self, entry: _TokenEntry, data: bytes) -> ScoredToken:
        while self._ends and self._ends[0] <= entry.start:
            self._ends.popleft()
            self._character += 1
        score = entry.score
        name = token_text(data) or self._vocabulary.special.get(entry.token, "")
        if score is None:
            return ScoredToken(name, data, None, self._character)
        top = tuple(self._alternative(id, logprob) for id, logprob in score.top)
        return ScoredToken(name, data, score.logprob, self._character, top)

    def _alternative(self, id: int, logprob: float) -> AlternativeToken:
        data = self._vocabulary.pieces[id]
        return AlternativeToken(token_text(data) or self._vocabulary.special.get(id, ""), data, logprob)
