"""Leaves out the white space that separates reasoning, content and calls, of text that arrives in pieces.

Templates write and remove it: a newline before a call is no part of the content. Knows no marks.
"""

from collections.abc import Iterator

from homeport.engines.text.answers.segments import ContentText


class ContentTrimmer:
    """Content with the newlines left out that precede a call or follow reasoning or a call."""

    def __init__(self) -> None:
        self._skips = False
        self._held: list[tuple[int, int]] = []  # runs of newlines: start and length

    def skip(self) -> None:
        """Leave out newlines at the end so far, and those that follow."""
        self._held.clear()
        self._skips = True

    def feed(self, text: str, start: int) -> Iterator[ContentText]:
        """Add text that begins at `start`; yield what is certainly content."""
        if self._skips:
            rest = text.lstrip("\n")
            start += len(text) - len(rest)
            text = rest
            if not text:
                return
            self._skips = False
        body = text.rstrip("\n")
        if body:
            yield from self.close()
            yield ContentText(body, start)
        if n_newlines := len(text) - len(body):
            self._hold(start + len(body), n_newlines)

    def close(self) -> Iterator[ContentText]:
        """Yield the newlines held so far: they are content."""
        for start, length in self._held:
            yield ContentText("\n" * length, start)
        self._held.clear()

    def _hold(self, start: int, length: int) -> None:
        if self._held and sum(self._held[-1]) == start:
            start, length = self._held[-1][0], self._held[-1][1] + length
            self._held.pop()
        self._held.append((start, length))


class ReasoningTrimmer:
    """Reasoning without the white space at its beginning and end."""

    def __init__(self) -> None:
        self._has_text = False
        self._held: list[str] = []

    def begin(self) -> None:
        """Begin another piece of reasoning; forget white space at the end of the last."""
        self._has_text = False
        self._held.clear()

    def feed(self, text: str) -> str:
        """Add text; return what is certainly reasoning."""
        if not self._has_text:
            text = text.lstrip()
        body = text.rstrip()
        if not body:
            self._held.append(text)
            return ""
        self._has_text = True
        held = "".join(self._held)
        self._held = [text[len(body) :]]
        return held + body
