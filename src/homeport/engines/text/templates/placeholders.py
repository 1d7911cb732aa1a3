"""Random placeholders for the texts of a conversation, which separate them from a template's own text.

Knows nothing of templates or tokens.
"""

import re
import secrets
from collections.abc import Callable, Sequence
from typing import NamedTuple

from homeport.engines.text.templates.control_tokens import TextSpan
from homeport.engines.text.templates.turns import PromptTurn, TurnTexts

TextChange = Callable[[str, bool], str]
"""Changes a text; the second argument: whether it is the content of an assistant's turn."""


class Placeholder(NamedTuple):
    """A placeholder and the text it replaces."""

    mark: str
    text: str


def keep(text: str, _: bool = False) -> str:
    """Return the text unchanged."""
    return text


class Placeholders:
    """New placeholders for the contents, names and reasoning of turns, by position.

    An empty text has an empty placeholder, because templates test for it.
    """

    def __init__(self, turns: Sequence[PromptTurn]) -> None:
        secret = secrets.token_hex(16)

        def place(kind: str, at: int, text: str) -> Placeholder:
            return Placeholder(f"x{secret}{kind}{at}x" if text else "", text)

        self._turns = turns
        self.contents = [place("c", at, turn.content) for at, turn in enumerate(turns)]
        self.names = [place("n", at, turn.name) for at, turn in enumerate(turns)]
        self._thoughts = [place("t", at, turn.reasoning) for at, turn in enumerate(turns)]
        self._pattern = re.compile(f"(x{secret}[cnt][0-9]+x)")
        self._texts = {each.mark: each.text for each in (*self.contents, *self.names, *self._thoughts) if each.mark}

    def find(self, rendered: str) -> set[str]:
        """Return the placeholders in a rendering."""
        return set(self._pattern.findall(rendered))

    def spans(self, rendered: str, change: Callable[[str], str] = str) -> list[TextSpan]:
        """Split a rendering into the template's text, which allows control tokens, and the turns' texts.

        `change` is applied to the latter.
        """
        return [
            TextSpan(change(self._texts.get(piece, piece)), allows_control=False)
            if index % 2
            else TextSpan(piece, allows_control=True)
            for index, piece in enumerate(self._pattern.split(rendered))
        ]

    def texts(self, change: TextChange = keep) -> list[TurnTexts]:
        """Return the texts of all turns, with `change` applied."""
        return [
            TurnTexts(
                change(content.text, turn.role == "assistant"), change(name.text, False), change(thought.text, False)
            )
            for turn, content, name, thought in zip(self._turns, self.contents, self.names, self._thoughts, strict=True)
        ]

    @property
    def marks(self) -> list[TurnTexts]:
        """The placeholders of all turns; empty for empty texts."""
        return [
            TurnTexts(content.mark, name.mark, thought.mark)
            for content, name, thought in zip(self.contents, self.names, self._thoughts, strict=True)
        ]

    @property
    def characters(self) -> int:
        """The length of all texts."""
        return sum(map(len, self._texts.values()))
