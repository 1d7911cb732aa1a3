"""The pieces of an answer, as a parser returns them while the answer is generated. Values only."""

from typing import NamedTuple


class ContentText(NamedTuple):
    """A piece of content: the characters from `start` on of the text that the parser read."""

    text: str
    start: int

    @property
    def end(self) -> int:
        """Where the piece ends in the text that the parser read."""
        return self.start + len(self.text)


class ReasoningText(NamedTuple):
    """A piece of reasoning."""

    text: str


class CallBegin(NamedTuple):
    """A tool call begins: number `call` of the answer, from 0."""

    call: int
    name: str


class CallArguments(NamedTuple):
    """More of a call's arguments as JSON, or of a custom tool's input."""

    call: int
    text: str


class CallEnd(NamedTuple):
    """A call's arguments are complete. A call that is cut has no end."""

    call: int


Segment = ContentText | ReasoningText | CallBegin | CallArguments | CallEnd
