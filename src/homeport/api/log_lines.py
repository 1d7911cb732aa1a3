"""The latest lines of the server's log in bounded memory, for operators. Knows nothing of HTTP or of files."""

import logging
import re
from collections.abc import Sequence
from typing import NamedTuple

from homeport.api.recent_items import RecentItems
from homeport.domain import printable
from homeport.domain.security import mask_secret

LEVELS = ("debug", "info", "warning", "error")
"""The levels by which lines are selected, lowest first. A critical line counts as an error."""
WORKER_LOGGER = "homeport.worker"
_MAX_LINES = 2000
_MAX_CHARS = 500_000
_MESSAGE_CHARS = 4000
_TRACE_CHARS = 8000
_MARGIN_CHARS = 1000
"""What is read past the end of a long text. No secret is longer."""
_SHORT_SECRET_CHARS = 8
_WORKER_LEVEL = re.compile(r".*?\[\d+\]: (DEBUG|INFO|WARNING|ERROR|CRITICAL) ")
_PATTERNS = (
    r"\bsk-[\w-]{16,}",
    r"\bhf_\w{16,}",
    r"\bms-[0-9a-f-]{20,}",
    r"(?<=[Bb]earer )\S{4,}",
    r"(?<=://)[^\s/@:]+:[^\s/@]+(?=@)",
)
"""What looks like a key of this server or of a hub, a bearer token, or the name and password in a URL."""


class LogLine(NamedTuple):
    """One line. `at`: seconds since 1970; `trace`: the traceback, empty without one."""

    at: float
    level: str
    logger: str
    message: str
    trace: str


class LogLines(RecentItems[LogLine]):
    """The latest lines, at most 2,000 and 500,000 characters."""

    def __init__(self) -> None:
        super().__init__(_MAX_LINES, _MAX_CHARS)


class LogLinesHandler(logging.Handler):
    """Adds what is logged to `lines`. `secrets` are masked wherever they occur, and so is what looks like a key."""

    def __init__(self, lines: LogLines, secrets: Sequence[str] = ()) -> None:
        super().__init__()
        self._lines = lines
        exact = [_secret_pattern(secret) for secret in sorted(filter(None, secrets), key=len, reverse=True)]
        self._secret = re.compile("|".join([*exact, *_PATTERNS]))
        self._traces = logging.Formatter()

    def emit(self, record: logging.LogRecord) -> None:
        """Add a record."""
        try:
            message = self._clean(record.getMessage(), _MESSAGE_CHARS)
            trace = self._clean(self._traces.formatException(record.exc_info), _TRACE_CHARS) if record.exc_info else ""
            line = LogLine(record.created, _level(record, message), record.name, message, trace)
            self._lines.append(line, len(message) + len(trace))
        except Exception:
            self.handleError(record)

    def _clean(self, text: str, max_chars: int) -> str:
        # Cut before secrets are searched, so that a huge text costs little. The cut may leave a part of a secret at the
        # end, which is not recognized, so the end is not shown, however short the masks have made what is before it.
        cleaned = self._secret.sub(lambda match: mask_secret(match[0]), text[: max_chars + _MARGIN_CHARS])
        shown = cleaned if len(text) <= max_chars + _MARGIN_CHARS else cleaned[:-_MARGIN_CHARS]
        return printable.text(shown)[:max_chars]


def _secret_pattern(secret: str) -> str:
    """Return the pattern of a secret. A short one is found only as a word, since it may be part of others."""
    pattern = re.escape(secret)
    return rf"(?<!\w){pattern}(?!\w)" if len(secret) < _SHORT_SECRET_CHARS else pattern


def _level(record: logging.LogRecord, message: str) -> str:
    """Return the level of a record; of a worker's line, the level that it begins with."""
    name = record.levelname
    if record.name == WORKER_LOGGER and (found := _WORKER_LEVEL.match(message)):
        name = found[1]
    level = name.lower()
    return level if level in LEVELS else "error"
