"""Reads arguments written as literals of Python, or as Gemma 4 writes them, and returns them as pieces of JSON.

Both are lists of `key=value` or `key:value`, whose values nest. Knows nothing of tools or schemas.
"""

import json
import re
from typing import NamedTuple, Self

from homeport.engines.text.answers.marks import CONTROL, MarkFinder


class LiteralSyntax(NamedTuple):
    """How literals are written. `quotes`: what begins a string and ends it; `has_escapes`: strings have Python's.

    `bare_keys`: keys of nested objects have no quotes, as those of the arguments never have. `key_ends`: the sign after
    a bare key, and the bracket that may be in its place.
    """

    quotes: tuple[str, ...]
    has_escapes: bool
    bare_keys: bool
    key_ends: str

    def with_mark(self, mark: str) -> Self:
        """Return the syntax with another mark around strings, as it is in generated text."""
        return self._replace(quotes=(mark,))


PYTHON = LiteralSyntax(('"', "'"), has_escapes=True, bare_keys=False, key_ends="=)")
GEMMA = LiteralSyntax(('<|"|>',), has_escapes=False, bare_keys=True, key_ends=":}")

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
_CONSTANTS = {"True": "true", "False": "false", "None": "null", "true": "true", "false": "false", "null": "null"}
_CLOSERS = {"{": "}", "[": "]", "(": "]"}
_ESCAPE = re.compile(r"\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[^xuU])", re.DOTALL)
_UNFINISHED = re.compile(r"\\(?:x[0-9a-fA-F]?|u[0-9a-fA-F]{0,3}|U[0-9a-fA-F]{0,7})?\Z")
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "a": "\a", "v": "\v", "0": "\0", "\n": ""}
_SIGNS = r"[{}\[\](),:=\s]"


class LiteralReader:
    """Key-value pairs up to the bracket that closes them, which is not read. `is_input`: only the string's text."""

    def __init__(self, syntax: LiteralSyntax, *, is_input: bool) -> None:
        self.is_done = False
        self._syntax = syntax
        self._is_input = is_input
        self._openers = MarkFinder(syntax.quotes)
        quotes = "".join("|" + re.escape(quote) for quote in syntax.quotes)
        self._word_end = re.compile(_SIGNS + quotes)
        self._key_end = re.compile(f"[{syntax.key_ends}]{quotes}")
        self._quote: str | None = None
        self._string_end = MarkFinder(())
        self._word: list[str] = []
        self._stack: list[str] = []
        self._expects_key = True
        self._begun = False

    def read(self, text: str, position: int) -> tuple[int, str]:
        """Read up to the closing bracket."""
        returned: list[str] = []
        while position < len(text) and not self.is_done:
            reads = self._read_outside if self._quote is None else self._read_string
            after = reads(text, position, returned)
            if after == position and not self.is_done:
                break
            position = after
        return position, "".join(returned)

    def close(self, is_complete: bool) -> str:
        """Return the object's end if the model ended its answer where only the closing bracket is missing."""
        self.is_done = is_complete and self._quote is None and not self._stack and not self._word
        if self._is_input or not self.is_done:
            return ""
        return "}" if self._begun else "{}"

    def _emit(self, returned: list[str], json_text: str) -> None:
        if not self._is_input:
            returned.append(json_text if self._begun else "{" + json_text)
        self._begun = True

    def _read_outside(self, text: str, position: int, returned: list[str]) -> int:
        is_key = self._expects_key and (self._syntax.bare_keys or not self._stack)
        found = (self._key_end if is_key else self._word_end).search(text, position)
        end = self._openers.held(text, position) if found is None else found.start()
        if end > position:
            self._word.append(text[position:end])
            return end
        if found is None:
            return position
        self._end_word(returned)
        sign = found[0]
        if sign in self._syntax.quotes:
            self._quote = sign
            self._string_end = MarkFinder([sign, "\\"] if self._syntax.has_escapes else [sign])
            self._emit(returned, '"')
        elif sign in "}])":
            return self._close_bracket(returned, position, found.end())
        else:
            self._read_sign(sign, returned)
        return found.end()

    def _read_sign(self, sign: str, returned: list[str]) -> None:
        if sign in "{[(":
            self._emit(returned, "[" if sign == "(" else sign)
            self._stack.append(sign)
            self._expects_key = sign == "{"
        elif sign == ",":
            self._emit(returned, ", ")
            self._expects_key = not self._stack or self._stack[-1] == "{"
        elif sign in ":=":
            self._emit(returned, ": ")
            self._expects_key = False

    def _close_bracket(self, returned: list[str], position: int, after: int) -> int:
        if not self._stack:
            self.is_done = True
            if not self._is_input:
                returned.append("}" if self._begun else "{}")
            return position
        self._emit(returned, _CLOSERS[self._stack.pop()])
        self._expects_key = False
        return after

    def _end_word(self, returned: list[str]) -> None:
        word = "".join(self._word).replace(CONTROL, "").strip()
        self._word = []
        if not word:
            return
        if not self._expects_key and (word in _CONSTANTS or _NUMBER.fullmatch(word)):
            self._emit(returned, _CONSTANTS.get(word, word))
        else:
            self._emit(returned, json.dumps(word, ensure_ascii=False))

    def _read_string(self, text: str, position: int, returned: list[str]) -> int:
        found = self._string_end.find(text, position)
        end = self._string_end.held(text, position) if found is None else found[0]
        if end > position:
            self._string_text(returned, text[position:end].replace(CONTROL, ""))
            return end
        if found is None:
            return position
        if text[position] != "\\" or not self._syntax.has_escapes:
            self._emit(returned, '"')
            self._quote = None
            return found[1]
        if _UNFINISHED.match(text, position):
            return position
        match = _ESCAPE.match(text, position)
        self._string_text(returned, _unescape(match[0]) if match else "\\")
        return match.end() if match else position + 1

    def _string_text(self, returned: list[str], text: str) -> None:
        returned.append(text if self._is_input else json.dumps(text, ensure_ascii=False)[1:-1])


def _unescape(escape: str) -> str:
    kind = escape[1]
    if kind in "xuU":
        code = int(escape[2:], 16)
        return chr(code) if code < 0x110000 and not 0xD800 <= code < 0xE000 else "\ufffd"
    return _ESCAPED.get(kind, kind if kind in "\\'\"" else escape)
