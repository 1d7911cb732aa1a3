"""Random placeholders for the contents of messages, which separate a template's own text from them.

Knows nothing of templates or tokens.
"""

import re
import secrets
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from homeport.domain.content import Message
from homeport.engines.text.control_tokens import TextSpan


class Placeholder(NamedTuple):
    """A placeholder and the text it stands for."""

    mark: str
    text: str


class Placeholders:
    """Fresh placeholders for the contents and names of messages, by position.

    What is empty stays empty: templates ask whether there is any.
    """

    def __init__(self, messages: Sequence[Message]) -> None:
        secret = secrets.token_hex(16)
        self.contents = [Placeholder(f"x{secret}c{i}x" if m.text else "", m.text) for i, m in enumerate(messages)]
        self.names = [Placeholder(f"x{secret}n{i}x" if m.name else "", m.name or "") for i, m in enumerate(messages)]
        self._pattern = re.compile(f"(x{secret}[cn][0-9]+x)")
        self._texts = {slot.mark: slot.text for slot in (*self.contents, *self.names) if slot.mark}

    def placed(self, framed: str) -> set[str]:
        """The placeholders that a rendering holds."""
        return set(self._pattern.findall(framed))

    def parts(self, framed: str, change: Callable[[str], str] = str) -> list[TextSpan]:
        """The template's own text as markup, with each placeholder's text, changed so, as plain text."""
        return [
            TextSpan(change(self._texts.get(piece, piece)), allows_control=False)
            if index % 2
            else TextSpan(piece, allows_control=True)
            for index, piece in enumerate(self._pattern.split(framed))
        ]

    def mapped(self, change: Callable[[str], str]) -> tuple[list[str], list[str]]:
        """Contents and names, changed so."""
        return [change(slot.text) for slot in self.contents], [change(slot.text) for slot in self.names]

    @property
    def marks(self) -> tuple[list[str], list[str]]:
        """Placeholders of contents and names; empty where those are."""
        return _marks(self.contents), _marks(self.names)


def _marks(slots: Iterable[Placeholder]) -> list[str]:
    return [slot.mark for slot in slots]
