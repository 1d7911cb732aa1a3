"""Text in which only some parts may become control tokens.

Tokenises what a template wrote next to what a user wrote, exactly as the whole text would be tokenised, except that
the user's part can never become a token that means a role, a turn or a tool call. Knows nothing of templates.
"""

import itertools
import re
from collections.abc import Iterable
from typing import NamedTuple

from homeport.engines.text.executor import Tokenizer
from homeport.engines.text.length_limits import TokenLimit

_NEVER = re.compile(r"(?!)")


class TextSpan(NamedTuple):
    """A run of text; `is_markup` where control tokens' names in it mean these tokens."""

    text: str
    allows_control: bool


class ControlTokenGuard:
    """Tokenises parts for one model.

    `source` is the model's chat template. Control tokens are told from text by the executor. Tokens that it reads in
    any text (user-defined ones, such as `<tool_call>`) count as markers where they look like `<|this|>` or stand
    bracketed in the template; a marker's name in a user's text is broken behind its first character.
    """

    def __init__(self, executor: Tokenizer, source: str) -> None:
        self._executor = executor
        self._ids = {name: token for token, name in executor.vocabulary.special.items() if name}
        self._control = _any_of(self._ids)
        markers = {
            text
            for piece in executor.vocabulary.pieces
            if piece[:1] in (b"<", b"[") and piece[-1:] in (b">", b"]") and len(piece) > 2
            for text in [piece.decode("utf-8", "replace")]
            if re.fullmatch(r"<\|.*\|>", text) or (text in source and re.fullmatch(r"<[^<>]*>|\[[^\[\]]*\]", text))
        }
        self._marker = _any_of(markers)
        self._any = _any_of({*self._ids, *(marker for marker in markers if marker.startswith("<|"))})

    def tokenize(self, parts: Iterable[TextSpan], limit: TokenLimit | None = None) -> list[int]:
        """Ids of the parts joined. Plain text on both sides of a part's edge is tokenised as one text.

        Raises ContextOverflow where the limit is passed.
        """
        ids: list[int] = []
        chunks = [""]
        for part in parts:
            if not part.allows_control:
                first, *rest = self._insert_gaps(part.text, self._marker)
                chunks[-1] += first
                chunks += rest
                continue
            position = 0
            for match in self._control.finditer(part.text):
                chunks[-1] += part.text[position : match.start()]
                ids += self._plain(chunks, limit)
                ids.append(self._ids[match.group()])
                chunks = [""]
                position = match.end()
            chunks[-1] += part.text[position:]
        return ids + self._plain(chunks, limit)

    def find_control_tokens(self, ids: Iterable[int]) -> list[int]:
        """The control tokens among these ids, in order."""
        return [token for token in ids if token in self._executor.vocabulary.special]

    def neutralize(self, text: str, gap: str) -> str:
        """The text with `gap` inside every name that could become a control token."""
        return gap.join(self._insert_gaps(text, self._any))

    def _plain(self, chunks: Iterable[str], limit: TokenLimit | None) -> list[int]:
        ids: list[int] = []
        for chunk in chunks:
            if chunk:
                found = self._executor.tokenize(chunk, special=False)
                ids += found
                if limit:
                    limit.spend(len(found))
        return ids

    @staticmethod
    def _insert_gaps(text: str, names: re.Pattern[str]) -> list[str]:
        cuts = [0, *(match.start() + 1 for match in names.finditer(text)), len(text)]
        return [text[start:end] for start, end in itertools.pairwise(cuts)]


def _any_of(names: Iterable[str]) -> re.Pattern[str]:
    """Matches any of the names, the longest where several begin alike."""
    alternatives = sorted(names, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, alternatives))) if alternatives else _NEVER
