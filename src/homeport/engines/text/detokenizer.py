"""Turns tokens into text that may be emitted: whole characters, no part of a stop string, with log-probabilities.

One detokenizer per choice. Knows the vocabulary's bytes and nothing of end tokens, budgets or events.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from homeport.domain.events import AlternativeToken, ScoredToken
from homeport.engines.text.executor import Vocabulary
from homeport.engines.text.logprobs import TokenScore
from homeport.engines.text.stop_strings import StopStringFinder, StopStrings
from homeport.engines.text.utf8 import Utf8, token_text


class TextPiece(NamedTuple):
    """Text to emit now, and the scored tokens whose text is thereby complete. Either may be empty."""

    text: str
    scored: tuple[ScoredToken, ...] = ()


class Detokenizer:
    """The growing text of one choice.

    It holds back only what may not be emitted yet: bytes of an unfinished character, and the longest end of the text
    that could become one of the strings in `stop`. With `scores`, each token is returned once its text is emitted. A
    token that a stop string cuts in two is returned with the part before the string, so that the tokens' bytes always
    equal the text's. `names`: the text of control tokens, which otherwise have none.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        stop: StopStrings,
        *,
        scores: bool,
        names: Mapping[int, bytes] | None = None,
    ) -> None:
        self._vocabulary = vocabulary
        self._names = names or {}
        self._utf8 = Utf8()
        self._stops = StopStringFinder(stop)
        self._held = ""
        self._stopped = False
        self._offsets = _TokenOffsets(vocabulary, 0) if scores else None

    @property
    def stopped(self) -> bool:
        """Whether a stop string was found; no more tokens may be pushed."""
        return self._stopped

    @property
    def stop(self) -> str:
        """The stop string that was found; empty until then."""
        return self._stops.found

    def echo(self, text: str, ids: Sequence[int], scores: Sequence[TokenScore] | None) -> TextPiece:
        """Emit the prompt before all tokens: stop strings in it are ignored, character offsets continue after it."""
        scored: tuple[ScoredToken, ...] = ()
        if self._offsets is not None and scores is not None:
            offsets, utf8 = _TokenOffsets(self._vocabulary, 0), Utf8()
            for token, score in zip(ids, scores, strict=True):
                data = self._vocabulary.pieces[token]
                offsets.add(token, score, len(data))
                offsets.extend(utf8.feed_measured(data)[1])
            offsets.extend([offsets.n_bytes] * len(utf8.close()))
            scored = offsets.close()
        if self._offsets is not None:
            self._offsets = _TokenOffsets(self._vocabulary, len(text))
        return TextPiece(text, scored)

    def push(self, token: int, score: TokenScore | None, *, may_stop: bool = True) -> TextPiece:
        """Add one generated token. `may_stop` False: it is no part of a stop string.

        Raises RuntimeError after a stop string was found.
        """
        if self._stopped:
            raise RuntimeError("this is a bug: a token was pushed after a stop string")
        data = self._names.get(token) or self._vocabulary.pieces[token]
        if self._offsets is None:
            return self._release(self._utf8.feed(data), may_stop=may_stop)
        text, ends = self._utf8.feed_measured(data)
        self._offsets.add(token, score, len(data))
        self._offsets.extend(ends)
        return self._release(text, may_stop=may_stop)

    def close(self) -> TextPiece:
        """End the text, by an end token or by length: emit what was held back. Empty after a stop string."""
        if self._stopped:
            return TextPiece("")
        text = self._utf8.close()
        if self._offsets is not None:
            self._offsets.extend([self._offsets.n_bytes] * len(text))
        return self._release(text, is_last=True)

    def _release(self, text: str, *, may_stop: bool = True, is_last: bool = False) -> TextPiece:
        if may_stop:
            start = self._stops.feed(text)
        else:
            start = None
            self._stops.reset()
        pending = self._held + text
        if start is not None:
            self._stopped = True
            size = len(self._held) + start
        else:
            size = len(pending) if is_last else len(pending) - self._stops.held_characters
        self._held = pending[size:]
        if self._offsets is None:
            return TextPiece(pending[:size])
        scored = self._offsets.release(size)
        if self._stopped:
            scored += self._offsets.cut()
        elif is_last:
            scored += self._offsets.close()
        return TextPiece(pending[:size], scored)


class _TokenEntry(NamedTuple):
    token: int
    score: TokenScore | None
    start: int
    end: int


class _TokenOffsets:
    """Maps tokens to characters: holds each token until the characters of its bytes are released."""

    def __init__(self, vocabulary: Vocabulary, offset: int) -> None:
        """`offset`: number of characters before the first token."""
        self.n_bytes = 0
        self._vocabulary = vocabulary
        self._entries: deque[_TokenEntry] = deque()
        self._ends: deque[int] = deque()  # ends of the characters from number `_character` on, in bytes
        self._character = offset
        self._unreleased: deque[int] = deque()  # ends of the characters not yet released
        self._released = 0  # bytes whose characters are released

    def add(self, token: int, score: TokenScore | None, n_bytes: int) -> None:
        """Add the next token, whose text has `n_bytes` bytes."""
        start = self.n_bytes
        self.n_bytes += n_bytes
        self._entries.append(_TokenEntry(token, score, start, self.n_bytes))

    def extend(self, ends: Sequence[int]) -> None:
        """Add completed characters, each as the number of bytes at its end."""
        self._ends.extend(ends)
        self._unreleased.extend(ends)

    def release(self, n_characters: int) -> tuple[ScoredToken, ...]:
        """Release more characters; return the tokens that are thereby complete."""
        for _ in range(n_characters):
            self._released = self._unreleased.popleft()
        return self._take(self._released)

    def cut(self) -> tuple[ScoredToken, ...]:
        """End the text here; return the released part of a token that is cut in two, if any."""
        entry = self._entries[0] if self._entries else None
        if entry is None or entry.start >= self._released:
            return ()
        return (self._scored(entry, self._vocabulary.pieces[entry.token][: self._released - entry.start]),)

    def close(self) -> tuple[ScoredToken, ...]:
        """Release everything, also trailing bytes of an unfinished character."""
        return self._take(self.n_bytes)

    def _take(self, n_bytes: int) -> tuple[ScoredToken, ...]:
        complete = []
        while self._entries and self._entries[0].end <= n_bytes:
            entry = self._entries.popleft()
            complete.append(self._scored(entry, self._vocabulary.pieces[entry.token]))
        return tuple(complete)

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
