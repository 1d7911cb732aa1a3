"""Tokenizes text of which only some spans may become control tokens.

A template's text and a user's text are tokenized exactly as the whole text would be, except that the user's part can
never become a token that means a role, a turn or a tool call. Knows nothing of templates.
"""

import itertools
import re
from collections.abc import Iterable
from typing import NamedTuple

from homeport.engines.text.executor import Tokenizer
from homeport.engines.text.prompt_length_limits import TokenLimit

_NEVER = re.compile(r"(?!)")


class TextSpan(NamedTuple):
    """A run of text. `allows_control`: names of control tokens in it become these tokens."""

    text: str
    allows_control: bool


class ControlTokenGuard:
    """Tokenizes spans for one model.

    `source` is the model's chat template. The tokenizer separates control tokens from text. Tokens that it recognizes
    in any text (user-defined ones, such as `<tool_call>`) count as markers if they look like `<|this|>` or appear in
    brackets in the template. A marker's name in a user's text is split after its first character.
    """

    def __init__(self, tokenizer: Tokenizer, source: str) -> None:
        self._tokenizer = tokenizer
        self._ids = {name: token for token, name in tokenizer.vocabulary.special.items() if name}
        self._control = _any_of(self._ids)
        markers = {
            text
            for piece in tokenizer.vocabulary.pieces
            if piece[:1] in (b"<", b"[") and piece[-1:] in (b">", b"]") and len(piece) > 2
            for text in [piece.decode("utf-8", "replace")]
            if re.fullmatch(r"<\|.*\|>", text) or (text in source and re.fullmatch(r"<[^<>]*>|\[[^\[\]]*\]", text))
        }
        self._marker = _any_of(markers)
        self._any = _any_of({*self._ids, *(marker for marker in markers if marker.startswith("<|"))})

    def tokenize(self, spans: Iterable[TextSpan], limit: TokenLimit | None = None) -> list[int]:
        """Return the ids of the spans joined. Plain text across the edge of two spans is tokenized as one text.

        Raises ContextOverflow if the limit is exceeded.
        """
        ids: list[int] = []
        chunks = [""]
        for span in spans:
            if not span.allows_control:
                first, *rest = self._split_at_names(span.text, self._marker)
                chunks[-1] += first
                chunks += rest
                continue
            position = 0
            for match in self._control.finditer(span.text):
                chunks[-1] += span.text[position : match.start()]
                ids += self._plain(chunks, limit)
                ids.append(self._ids[match.group()])
                chunks = [""]
                position = match.end()
            chunks[-1] += span.text[position:]
        return ids + self._plain(chunks, limit)

    def find_control_tokens(self, ids: Iterable[int]) -> list[int]:
        """Return the control tokens among these ids, in order."""
        return [token for token in ids if token in self._tokenizer.vocabulary.special]

    def neutralize(self, text: str, gap: str) -> str:
        """Return the text with `gap` inside every name that could become a control token."""
        return gap.join(self._split_at_names(text, self._any))

    def _plain(self, chunks: Iterable[str], limit: TokenLimit | None) -> list[int]:
        ids: list[int] = []
        for chunk in chunks:
            if chunk:
                chunk_ids = self._tokenizer.tokenize(chunk, special=False)
                ids += chunk_ids
                if limit:
                    limit.spend(len(chunk_ids))
        return ids

    @staticmethod
    def _split_at_names(text: str, names: re.Pattern[str]) -> list[str]:
        """Split a text after the first character of each name."""
        cuts = [0, *(match.start() + 1 for match in names.finditer(text)), len(text)]
        return [text[start:end] for start, end in itertools.pairwise(cuts)]


def find_special_token(tokenizer: Tokenizer, role: str) -> str | None:
    """Return the name of the token that has this role in the model's metadata: `bos`, `eos`, `unknown`, `padding`."""
    id = tokenizer.metadata.get(f"tokenizer.ggml.{role}_token_id", "")
    return tokenizer.vocabulary.special.get(int(id)) if id.isdecimal() else None


def _any_of(names: Iterable[str]) -> re.Pattern[str]:
    """Return a pattern that matches any of the names, the longest first."""
    alternatives = sorted(names, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, alternatives))) if alternatives else _NEVER
