"""Writes a grammar in llguidance's variant of Lark: literals, marks, free text and rules with names of their own.

Knows nothing of calls, schemas or answer formats.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence

from homeport.engines.text.answers.answer_format import CALL_ID, CALL_INDEX, SPACE
from homeport.engines.text.answers.marks import ID_PATTERN, INDEX_PATTERN, SPACE_PATTERN, Control, split_mark

ANY_TEXT = "(?s:.*)"
"""A regular expression of any text. Control tokens are not text."""

_ORDINARY = re.compile(r"[a-zA-Z0-9_\", :\u0080-\U0010ffff]")


def quoted(text: str) -> str:
    """Return a Lark literal of a text."""
    return json.dumps(text, ensure_ascii=False)


def escaped(text: str) -> str:
    """Return a regular expression that matches exactly a text, for use in `/.../`."""
    return "".join(c if _ORDINARY.match(c) else f"\\x{{{ord(c):x}}}" for c in text)


def pattern_of(mark: str) -> str:
    """Return a regular expression of a mark without control tokens, in which white space may vary."""
    return "".join(SPACE_PATTERN if piece == SPACE else escaped(str(piece)) for piece in split_mark(mark, frozenset()))


def terminal(expression: str) -> str:
    """Return a Lark terminal of a regular expression: slashes and newlines are escaped."""
    written = re.sub(r"\\(.)|([/\n])", _escape_sign, expression, flags=re.DOTALL)
    return f"/{written}/"


def _escape_sign(match: re.Match[str]) -> str:
    if match[2]:
        return "\\n" if match[2] == "\n" else "\\/"
    return "\\n" if match[1] == "\n" else match[0]


class LarkSource:
    """A grammar that is being written. `special`: the ids of control tokens, by name."""

    def __init__(self, special: Mapping[str, int]) -> None:
        self.controls = frozenset(special)
        self._special = special
        self._rules: list[str] = []
        self._grammars: list[dict[str, str]] = []
        self._known: dict[str, str] = {}

    def rule(self, body: str, *, options: str = "") -> str:
        """Add a rule; return its name. Equal rules are written once. `options`: such as `lazy`."""
        written = f"[{options}]: {body}" if options else f": {body}"
        if written not in self._known:
            self._known[written] = f"rule_{len(self._rules)}"
            self._rules.append(self._known[written] + written)
        return self._known[written]

    def reserve(self) -> str:
        """Return the name of a rule that `define` will add."""
        self._rules.append("")
        return f"rule_{len(self._rules) - 1}"

    def define(self, name: str, body: str) -> None:
        """Add the rule of a reserved name."""
        self._rules[int(name.removeprefix("rule_"))] = f"{name}: {body}"

    def terminal(self, body: str) -> str:
        """Add a terminal, in which `&` and `~` may be used; return its name."""
        written = f": {body}"
        if written not in self._known:
            self._known[written] = f"TERMINAL_{len(self._rules)}"
            self._rules.append(self._known[written] + written)
        return self._known[written]

    def grammar(self, lark: str) -> str:
        """Add a separate grammar, whose names do not clash with this one's; return how to refer to it."""
        name = f"grammar_{len(self._grammars)}"
        self._grammars.append({"name": name, "lark_grammar": lark})
        return f"@{name}"

    def mark(self, mark: str) -> str:
        """Return a mark as an expression; empty for an empty one."""
        if SPACE in mark:
            return f"/{pattern_of(mark)}/"
        return " ".join(self._piece(piece) for piece in split_mark(mark, self.controls))

    def text(self, *, excluded: Sequence[str] = ()) -> str:
        """Return any text that does not match one of some regular expressions as a whole."""
        if not excluded:
            return self.terminal(f"/{ANY_TEXT}/")
        return self.terminal(" & ".join([f"/{ANY_TEXT}/", *(f"~/{pattern}/" for pattern in excluded)]))

    def until(self, mark: str, *, excluded: Sequence[str] = ()) -> str:
        """Return any text that does not contain a mark's beginning, and then the mark."""
        pieces = split_mark(mark, self.controls)
        if not pieces or not self.is_literal(mark):
            return f"{self.text(excluded=excluded)} {self.mark(mark)}".rstrip()
        first = str(pieces[0])
        bodies = [f"/{ANY_TEXT}{escaped(first)}/", *(f"~/{pattern}/" for pattern in excluded)]
        head = self.rule(self.terminal(" & ".join(bodies)), options="lazy")
        return f"{head} {self.mark(mark[len(first) :])}".rstrip()

    def then(self, text: str, mark: str) -> str:
        """Return a text, which has no control tokens, and then a mark."""
        if not self.is_literal(mark):
            return joined([quoted(text), self.mark(mark)])
        first = str(split_mark(mark, self.controls)[0])
        return joined([quoted(text + first), self.mark(mark[len(first) :])])

    def matching_until(self, conditions: Sequence[str], mark: str) -> str:
        """Return text that meets some conditions, each a terminal, and does not contain a mark; and then the mark."""
        if not self.is_literal(mark):
            return joined([self.terminal(" & ".join([f"/{ANY_TEXT}/", *conditions])), self.mark(mark)])
        first = str(split_mark(mark, self.controls)[0])
        text = " & ".join([f"/{ANY_TEXT}/", *conditions, f"~/{ANY_TEXT}{escaped(first)}{ANY_TEXT}/"])
        head = self.rule(self.terminal(f"({text}) {quoted(first)}"), options="lazy")
        return joined([head, self.mark(mark[len(first) :])])

    def is_literal(self, mark: str) -> bool:
        """Return whether a mark begins with text, not with a control token."""
        pieces = split_mark(mark, self.controls)
        return bool(pieces) and not isinstance(pieces[0], Control) and pieces[0] not in (CALL_INDEX, CALL_ID)

    def source(self, start: str) -> str:
        """Return the grammar. `start`: the expression of the whole text."""
        lark = "\n".join(["%llguidance {}", f"start: {start}", *filter(None, self._rules)]) + "\n"
        if not self._grammars:
            return lark
        return json.dumps({"grammars": [{"lark_grammar": lark}, *self._grammars]}, ensure_ascii=False)

    def _piece(self, piece: str | Control) -> str:
        if isinstance(piece, Control):
            return f"<[{self._special[piece.name]}]>"
        if piece == CALL_INDEX:
            return f"/{INDEX_PATTERN}/"
        return f"/{ID_PATTERN}/" if piece == CALL_ID else quoted(piece)


def joined(parts: Iterable[str]) -> str:
    """Return expressions in sequence; two quotes, the empty text, if all are empty."""
    return " ".join(filter(None, parts)) or '""'


def alternatives(parts: Sequence[str]) -> str:
    """Return an expression of any of some expressions."""
    return parts[0] if len(parts) == 1 else f"({' | '.join(parts)})"


def pairs_in_order(source: LarkSource, pairs: Sequence[tuple[str, bool]], separator: str) -> str:
    """Return pairs in this order, each once, with a separator between two of them. Each: expression, is required."""
    if not separator:
        return joined(pair if is_required else f"({pair})?" for pair, is_required in pairs)
    first, later = '""', ""
    for pair, is_required in reversed(pairs):
        following = joined([pair, later])
        first = source.rule(following if is_required else f"{following} | {first}")
        later = source.rule(f"{separator} {following}" if is_required else joined([f"({separator} {pair})?", later]))
    return first
