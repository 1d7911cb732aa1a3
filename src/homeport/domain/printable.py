"""Makes text from outside safe to print: control characters are shown as escapes and cannot control the terminal.

Names of keys and models, licenses and messages come from anyone. Knows nothing of where the text is printed.
"""

import re

_CONTROL = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 and C1, except tab and line feed
    "\u2028\u2029\u202a-\u202e\u2066-\u2069"  # line separators and bidirectional controls
    "\ud800-\udfff"  # surrogates, which no stream can encode
)
_FORMULA_SIGNS = tuple("=+-@|%\uff1d\uff0b\uff0d\uff20")  # ASCII and full-width
_SPACES = " \t\r\n\ufeff\u00a0\u3000"
_IN_TEXT = re.compile(f"[{_CONTROL}]")
_IN_LINE = re.compile(f"[{_CONTROL}\n\t]")


def text(given: str) -> str:
    """Replace every control character except tabs and line ends by an escape, such as `\\x1b`."""
    return _IN_TEXT.sub(_escaped, given.replace("\r\n", "\n"))


def line(given: str) -> str:
    """Do the same for text that must stay on one line: line ends and tabs are escaped too."""
    return _IN_LINE.sub(_escaped, given)


def cell(given: str) -> str:
    """Make text safe as a cell of a table in CSV: it stays on one line, and no spreadsheet takes it for a formula."""
    return "'" + line(given) if given.lstrip(_SPACES)[:1] in _FORMULA_SIGNS else line(given)


def json(given: str) -> str:
    """Escape control characters in JSON text, without changing its value."""
    return _IN_TEXT.sub(lambda match: f"\\u{ord(match[0]):04x}", given)


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
