"""Bytes that arrive in any pieces, as characters: what is not yet whole waits, what is no UTF-8 becomes U+FFFD.

The text is exactly what `bytes.decode("utf-8", "replace")` gives for all bytes together. Knows nothing of tokens.
"""

import codecs

_IncrementalDecoder = codecs.getincrementaldecoder("utf-8")


class Utf8:
    """Decodes a stream of bytes, and can tell after which byte each character ended."""

    def __init__(self) -> None:
        self._decoder = _IncrementalDecoder(errors="replace")
        self._fed = 0

    def feed(self, data: bytes) -> str:
        """The characters that these bytes complete."""
        self._fed += len(data)
        return self._decoder.decode(data)

    def feed_measured(self, data: bytes) -> tuple[str, list[int]]:
        """As `feed`, with each character's end: the number of bytes since the very first up to its last one."""
        characters: list[str] = []
        ends: list[int] = []
        for value in data:
            done = self.feed(bytes((value,)))
            # One byte completes at most two characters: what waited turns out broken, and the byte itself.
            waiting = len(self._decoder.getstate()[0])
            ends.extend(self._fed - waiting - behind for behind in reversed(range(len(done))))
            characters.append(done)
        return "".join(characters), ends

    def close(self) -> str:
        """The end of the stream: U+FFFD if a character was left incomplete, else nothing."""
        return self._decoder.decode(b"", final=True)


def token_text(data: bytes) -> str:
    r"""A token's bytes as OpenAI prints them in log-probabilities: text, or `bytes:\xNN...` where they are none."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{value:02x}" for value in data)
