"""Makes text from outside safe to print: control characters are shown as escapes and cannot control the terminal.

Names of keys and models, licences and messages come from anybody. Knows nothing of where the text is printed.
"""

import re

_CONTROL = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 and C1, but for tab and line feed
    "\u2028\u2029\u202a-\u202e\u2066-\u2069"  # separators of lines, and what turns the direction of writing
    "\ud800-\udfff"  # halves of characters, which no stream can write
)
_IN_TEXT = re.compile(f"[{_CONTROL}]")
_IN_LINE = re.compile(f"[{_CONTROL}\n\t]")


def text(given: str) -> str:
    """The text with every control character but tabs and line ends as an escape, such as `\\x1b`."""
    return _IN_TEXT.sub(_escaped, given.replace("\r\n", "\n"))


def line(given: str) -> str:
    """The same of text that must stay in one line: its line ends and tabs are escapes too."""
    return _IN_LINE.sub(_escaped, given)


def json(given: str) -> str:
    """JSON text that says the same without any control character in it."""
    return _IN_TEXT.sub(lambda found: f"\\u{ord(found[0]):04x}", given)


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
