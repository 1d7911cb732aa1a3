"""Turns a Lark grammar into a regular expression, where that is possible: no rule may refer to itself.

So a custom tool's grammar can bind text within a JSON string, whose escapes a grammar of rules does not know. Knows
nothing of tools or JSON.
"""

import re
from typing import Final, NamedTuple

MAX_CHARS = 20_000
"""The maximum length of a regular expression: rules that are used often are written each time."""
_MAX_DEPTH = 64

_COMMON: Final = {
    "CR": r"\r",
    "DIGIT": "[0-9]",
    "INT": "[0-9]+",
    "LCASE_LETTER": "[a-z]",
    "LETTER": "[A-Za-z]",
    "LF": r"\n",
    "NEWLINE": r"(?:\r?\n)+",
    "UCASE_LETTER": "[A-Z]",
    "WORD": "[A-Za-z]+",
    "WS": r"[ \t\f\r\n]+",
    "WS_INLINE": r"[ \t]+",
}
"""Terminals of Lark's library `common`."""

_TOKEN = re.compile(
    r"""
      (?P<space>[ \t\f\r]+ | //[^\n]* | \#[^\n]*)
    | (?P<newline>\n)
    | (?P<literal>"(?:\\.|[^"\\\n])*"i?)
    | (?P<regex>/(?!/)(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n])+/[ims]*)
    | (?P<alias>->\s*[a-z_][a-z0-9_]*)
    | (?P<directive>%[a-z]+)
    | (?P<repeat>\{\s*\d+\s*(?:,\s*\d*\s*)?\}|[?*+])
    | (?P<name>[?!]*[A-Za-z_][A-Za-z0-9_]*(?:\.-?\d+)?)
    | (?P<sign>[:|()\[\].,])
    """,
    re.VERBOSE,
)


class _NotRegular(Exception):
    """The grammar has something that is no regular expression, or that is not known here."""


class _Token(NamedTuple):
    kind: str
    text: str


def to_regex(definition: str) -> str | None:
    """Return a regular expression of the texts that a grammar's rule `start` allows; None if there is none."""
    try:
        rules = _split_rules(_tokens(definition))
        return _Writer(rules).rule("start")
    except _NotRegular:
        return None


def _tokens(definition: str) -> list[_Token]:
    tokens: list[_Token] = []
    at = 0
    while at < len(definition):
        match = _TOKEN.match(definition, at)
        if match is None or match.lastgroup is None:
            raise _NotRegular
        if match.lastgroup not in ("space", "alias"):
            tokens.append(_Token(match.lastgroup, match[0]))
        at = match.end()
    return tokens


def _split_rules(tokens: list[_Token]) -> dict[str, list[_Token]]:
    """Return the tokens of each rule's body. A rule continues over lines until another one begins."""
    rules: dict[str, list[_Token]] = {}
    body: list[_Token] | None = None
    at = 0
    while at < len(tokens):
        kind, text = tokens[at]
        if kind == "directive":
            at = _import(tokens, at, rules)
            body = None
        elif kind == "name" and at + 1 < len(tokens) and tokens[at + 1] == _Token("sign", ":"):
            name = text.lstrip("?!").partition(".")[0]
            if name in rules:
                raise _NotRegular
            body = rules[name] = []
            at += 2
        else:
            if kind != "newline":
                if body is None:
                    raise _NotRegular
                body.append(tokens[at])
            at += 1
    return rules


def _import(tokens: list[_Token], at: int, rules: dict[str, list[_Token]]) -> int:
    """Read `%import common.NAME`; return the index behind it."""
    line = []
    at += 1
    while at < len(tokens) and tokens[at].kind != "newline":
        line.append(tokens[at].text)
        at += 1
    if len(line) == 1 and line[0].startswith("common."):
        line = ["common", ".", line[0].partition(".")[2]]
    if tokens[at - len(line) - 1].text != "%import" or line[:2] != ["common", "."] or len(line) != 3:
        raise _NotRegular
    if line[2] not in _COMMON:
        raise _NotRegular
    rules.setdefault(line[2], [_Token("regex", f"/{_COMMON[line[2]]}/")])
    return at


class _Writer:
    """Writes the regular expressions of rules."""

    def __init__(self, rules: dict[str, list[_Token]]) -> None:
        self._rules = rules
        self._written: dict[str, str] = {}
        self._open: list[str] = []

    def rule(self, name: str) -> str:
        """Return the expression of a rule."""
        if name not in self._written:
            if name in self._open or name not in self._rules or len(self._open) == _MAX_DEPTH:
                raise _NotRegular
            self._open.append(name)
            body = _Body(self, self._rules[name])
            written = body.alternatives()
            if not body.is_over:
                raise _NotRegular
            self._open.pop()
            self._written[name] = written
        return self._written[name]


class _Body:
    """Reads the body of one rule."""

    def __init__(self, writer: _Writer, tokens: list[_Token]) -> None:
        self._writer = writer
        self._tokens = tokens
        self._at = 0
        self._depth = 0

    @property
    def is_over(self) -> bool:
        """Whether all tokens are read."""
        return self._at == len(self._tokens)

    def alternatives(self) -> str:
        """Read alternatives up to a closing bracket or the end."""
        choices = [self._sequence()]
        while self._take("|"):
            choices.append(self._sequence())
        written = choices[0] if len(choices) == 1 else f"(?:{'|'.join(choices)})"
        if len(written) > MAX_CHARS:
            raise _NotRegular
        return written

    def _sequence(self) -> str:
        parts = []
        while not self.is_over and self._tokens[self._at].text not in ("|", ")", "]"):
            parts.append(self._item())
        return "".join(parts)

    def _item(self) -> str:
        kind, text = self._tokens[self._at]
        self._at += 1
        if text in ("(", "["):
            self._depth += 1
            if self._depth > _MAX_DEPTH:
                raise _NotRegular
            written = f"(?:{self.alternatives()})" + ("?" if text == "[" else "")
            if not self._take(")" if text == "(" else "]"):
                raise _NotRegular
            self._depth -= 1
            written = f"(?:{written})"
        elif kind == "literal":
            written = _literal(text)
        elif kind == "regex":
            written = _regex(text)
        elif kind == "name":
            written = f"(?:{self._writer.rule(text)})"
        else:
            raise _NotRegular
        if not self.is_over and self._tokens[self._at].kind == "repeat":
            written += re.sub(r"\s", "", self._tokens[self._at].text)
            self._at += 1
        return written

    def _take(self, sign: str) -> bool:
        if self.is_over or self._tokens[self._at].text != sign:
            return False
        self._at += 1
        return True


def _literal(text: str) -> str:
    quoted, is_caseless = text.removesuffix("i"), text.endswith("i")
    if not quoted.endswith('"') or len(quoted) < 2:
        quoted, is_caseless = text, False
    try:
        plain = re.sub(r"\\(u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|.)", _unescape, quoted[1:-1])
    except ValueError:
        raise _NotRegular from None
    return f"(?{'i' if is_caseless else ''}:{re.escape(plain)})"


def _unescape(match: re.Match[str]) -> str:
    code = match[1]
    if len(code) > 1:
        return chr(int(code[1:], 16))
    return {"n": "\n", "r": "\r", "t": "\t", "f": "\f"}.get(code, code)


def _regex(text: str) -> str:
    body, _, flags = text[1:].rpartition("/")
    if set(flags) - {"i", "s"}:
        raise _NotRegular
    return f"(?{flags}:{body})"
