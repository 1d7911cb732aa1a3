"""Random placeholders for the contents and names of messages, which separate them from a template's own text.

Knows nothing of templates or tokens.
"""

import re
import secrets
from collections.abc import Callable, Sequence
from typing import NamedTuple

from homeport.domain.content import Message
from homeport.engines.text.control_tokens import TextSpan


class Placeholder(NamedTuple):
    """A placeholder and the text it replaces."""

    mark: str
    text: str


class Placeholders:
    """New placeholders for the contents and names of messages, by position.

    An empty text has an empty placeholder, because templates test for it.
    """

    def __init__(self, messages: Sequence[Message]) -> None:
        secret = secrets.token_hex(16)
        self.contents = [Placeholder(f"x{secret}c{i}x" if m.text else "", m.text) for i, m in enumerate(messages)]
        self.names = [Placeholder(f"x{secret}n{i}x" if m.name else "", m.name or "") for i, m in enumerate(messages)]
        self._pattern = re.compile(f"(x{secret}[cn][0-9]+x)")
        self._texts = {each.mark: each.text for each in (*self.contents, *self.names) if each.mark}

    def find(self, rendered: str) -> set[str]:
        """Return the placeholders in a rendering."""
        return set(self._pattern.findall(rendered))

    def spans(self, rendered: str, change: Callable[[str], str] = str) -> list[TextSpan]:
        """Split a rendering into the template's text, which allows control tokens, and the messages' texts.

        `change` is applied to the latter.
        """
        return [
            TextSpan(change(self._texts.get(piece, piece)), allows_control=False)
            if index % 2
            else TextSpan(piece, allows_control=True)
            for index, piece in enumerate(self._pattern.split(rendered))
        ]

    def texts(self, change: Callable[[str], str] = str) -> tuple[list[str], list[str]]:
        """Return contents and names, with `change` applied."""
        return [change(each.text) for each in self.contents], [change(each.text) for each in self.names]

    @property
    def marks(self) -> tuple[list[str], list[str]]:
        """The placeholders of contents and names; empty for empty texts."""
        return [each.mark for each in self.contents], [each.mark for each in self.names]
