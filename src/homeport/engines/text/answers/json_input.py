"""Reads the text of a custom tool's only argument out of JSON that arrives in pieces. Knows no tools."""

import json
import re

_KEY_CHARS = 200
_SIGN = re.compile(r'["\\]')
_STRING_BEGIN = re.compile(r':\s*"')
_ESCAPE = re.compile(r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[0-9a-fA-F]{4}|u[0-9a-fA-F]{4}|[^u])", re.DOTALL)
_UNFINISHED = re.compile(r"\\(?:u[0-9a-fA-F]{0,3}|u[dD][89abAB][0-9a-fA-F]{2}(?:\\(?:u[0-9a-fA-F]{0,3})?)?)?\Z")


class JsonInput:
    """The decoded text of the first string value of an object."""

    def __init__(self) -> None:
        self._held = ""
        self._is_inside = self._is_done = False

    def feed(self, text: str) -> str:
        """Read more of the object; return more of the text."""
        if self._is_done:
            return ""
        text = self._held + text
        self._held = ""
        position = 0
        if not self._is_inside:
            match = _STRING_BEGIN.search(text)
            if match is None:
                self._held = text[-_KEY_CHARS:]
                return ""
            self._is_inside, position = True, match.end()
        decoded: list[str] = []
        while sign := _SIGN.search(text, position):
            end = sign.start()
            decoded.append(text[position:end])
            if text[end] == '"':
                self._is_done = True
                return "".join(decoded)
            if _UNFINISHED.match(text, end):
                self._held = text[end:]
                return "".join(decoded)
            match = _ESCAPE.match(text, end)
            position = match.end() if match else end + 1
            decoded.append(_decode(match[0]) if match else "")
        decoded.append(text[position:])
        return "".join(decoded)


def _decode(escape: str) -> str:
    try:
        text = json.loads(f'"{escape}"')
    except ValueError:
        return escape[1:]
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace") if isinstance(text, str) else ""
