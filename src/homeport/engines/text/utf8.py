"""Decodes bytes that arrive in pieces: an incomplete character waits, invalid UTF-8 becomes U+FFFD.

The text equals `bytes.decode("utf-8", "replace")` of all bytes together. Knows nothing of tokens.
"""

import codecs

_IncrementalDecoder = codecs.getincrementaldecoder("utf-8")


class Utf8:
    """Decodes a stream of bytes, and can report after which byte each character ended."""

    def __init__(self) -> None:
        self._decoder = _IncrementalDecoder(errors="replace")
        self._fed = 0

    def feed(self, data: bytes) -> str:
        """Return the characters that these bytes complete."""
        self._fed += len(data)
        return self._decoder.decode(data)

    def feed_measured(self, data: bytes) -> tuple[str, list[int]]:
        """As `feed`, with each character's end: the number of bytes from the start of the stream to its last byte."""
        characters: list[str] = []
        ends: list[int] = []
        for value in data:
            completed = self.feed(bytes((value,)))
            # One byte completes at most two characters: U+FFFD for the bytes that waited, and the byte itself.
            waiting = len(self._decoder.getstate()[0])
            ends.extend(self._fed - waiting - following for following in reversed(range(len(completed))))
            characters.append(completed)
        return "".join(characters), ends

    def close(self) -> str:
        """End the stream: return U+FFFD if a character is incomplete, else an empty string."""
        return self._decoder.decode(b"", final=True)


def token_text(data: bytes) -> str:
    r"""Return a token's bytes as OpenAI prints them in log-probabilities: text, or `bytes:\xNN...` if they are none."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{value:02x}" for value in data)
