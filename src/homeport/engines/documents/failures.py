"""Why a document cannot be read, and the limits that all readers share."""

MAX_TEXT_CHARS = 10_000_000
"""The maximum length of a document's text."""
MAX_PAGES = 5_000
"""The maximum number of pages of a PDF, and of slides of a presentation."""


class UnreadableDocument(Exception):
    """A document has no text that can be read. `code`: one of those of `domain.vector_stores`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class TextParts:
    """Collects the parts of a document's text, and stops when they are too long."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._chars = 0

    def add(self, part: str) -> None:
        """Add a part. Raises UnreadableDocument if the text is too long."""
        if not part.strip():
            return
        self._chars += len(part)
        if self._chars > MAX_TEXT_CHARS:
            raise UnreadableDocument("invalid_file", f"The file has more than {MAX_TEXT_CHARS} characters of text.")
        self._parts.append(part)

    def join(self, separator: str) -> str:
        """Return the whole text."""
        return separator.join(self._parts)
