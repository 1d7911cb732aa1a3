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
_BRACKETED = re.compile(r"</?([^<>|]+)>|\[/?([^\[\]|]+)\]")
_MIN_PART = 2
THOUGHT_MARKS = frozenset({"<think>", "</think>", "[THINK]", "[/THINK]"})
"""Names that templates look for in the contents of an assistant, to remove earlier reasoning."""


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
        self._checked = {*self._ids.values()}
        self._checked |= {
            token
            for token, piece in enumerate(tokenizer.vocabulary.pieces)
            if piece[:1] in (b"<", b"[") and piece.decode("utf-8", "replace") in markers - THOUGHT_MARKS
        }
        names = {*self._ids, *markers}
        self._any = _any_of(names)
        self._any_but_thoughts = _any_of(names - THOUGHT_MARKS)
        self._beginnings = {name[:size] for name in names for size in range(_MIN_PART, len(name))}
        self._endings = {name[-size:] for name in names for size in range(_MIN_PART, len(name))}
        self._longest = max(map(len, names), default=0)
        edges = {sign for name in names for sign in (name[0], name[-1])}
        self._edge = re.compile(f"[{re.escape(''.join(edges))}]") if edges else _NEVER
        inner = (_BRACKETED.fullmatch(name) for name in names)
        self._inner = {match.group(1) or match.group(2) for match in inner if match}

    def tokenize(self, spans: Iterable[TextSpan], limit: TokenLimit | None = None, gap: str = "") -> list[int]:
        """Return the ids of the spans joined. Plain text across the edge of two spans is tokenized as one text.

        A `gap` in text that allows control tokens separates two texts and is left out. Raises ContextOverflow if the
        limit is exceeded.
        """
        ids: list[int] = []
        chunks = [""]
        for span in spans:
            if not span.allows_control:
                first, *rest = self._split(span.text, self._any)
                chunks[-1] += first
                chunks += rest
                continue
            for number, text in enumerate(span.text.split(gap) if gap else [span.text]):
                if number:
                    chunks.append("")
                position = 0
                for match in self._control.finditer(text):
                    chunks[-1] += text[position : match.start()]
                    ids += self._plain(chunks, limit)
                    ids.append(self._ids[match.group()])
                    chunks = [""]
                    position = match.end()
                chunks[-1] += text[position:]
        return ids + self._plain(chunks, limit)

    def find_control_tokens(self, ids: Iterable[int]) -> list[int]:
        """Return the control tokens and markers among these ids, in order, except `THOUGHT_MARKS`."""
        return [token for token in ids if token in self._checked]

    def neutralize(self, text: str, gap: str, *, keeps_thoughts: bool = False) -> str:
        """Return the text with `gap` inside every name that could become a control token or a marker.

        Also inside parts of names at its beginning and end, where other text may complete them. `keeps_thoughts`:
        except `THOUGHT_MARKS` up to the end of the first thought, which templates look for.
        """
        ends = [text.find(mark) + len(mark) for mark in THOUGHT_MARKS if mark[1] == "/" and mark in text]
        if not keeps_thoughts or not ends:
            return gap.join(self._split(text, self._any))
        thought, rest = text[: min(ends)], text[min(ends) :]
        return gap.join(self._split(thought, self._any_but_thoughts)) + self.neutralize(rest, gap)

    def separate(self, text: str, gap: str, *, is_name: bool = False) -> str:
        """Return the text as `neutralize` does. `is_name`: a template may write it in brackets."""
        if is_name and text in self._inner:
            return text[:1] + gap + text[1:]
        return gap.join(self._split(text, self._any))

    def _split(self, text: str, names: re.Pattern[str]) -> list[str]:
        """Split a text inside each name, and inside each part of a name at its beginning or end."""
        if not self._edge.search(text):
            return [text]
        cuts = {match.start() + 1 for match in names.finditer(text)}
        for size in range(_MIN_PART, min(self._longest, len(text) + 1)):
            if text[-size:] in self._beginnings:
                cuts.add(len(text) - size + 1)
            if text[:size] in self._endings:
                cuts.add(size - 1)
        edges = sorted({0, *cuts, len(text)})
        return [text[start:end] for start, end in itertools.pairwise(edges)]

    def _plain(self, chunks: Iterable[str], limit: TokenLimit | None) -> list[int]:
        ids: list[int] = []
        for chunk in chunks:
            if chunk:
                chunk_ids = self._tokenizer.tokenize(chunk, special=False)
                ids += chunk_ids
                if limit:
                    limit.spend(len(chunk_ids))
        return ids


def find_special_token(tokenizer: Tokenizer, role: str) -> str | None:
    """Return the name of the token that has this role in the model's metadata: `bos`, `eos`, `unknown`, `padding`."""
    id = tokenizer.metadata.get(f"tokenizer.ggml.{role}_token_id", "")
    return tokenizer.vocabulary.special.get(int(id)) if id.isdecimal() else None


def _any_of(names: Iterable[str]) -> re.Pattern[str]:
    """Return a pattern that matches any of the names, the longest first."""
    alternatives = sorted(names, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, alternatives))) if alternatives else _NEVER
