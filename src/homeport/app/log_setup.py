"""How the program's log looks: one line per event on standard error, as text or as JSON.

Knows nothing of what is logged. Prompts and keys never reach a logger: the callers see to that.
"""

import logging
import time

import msgspec

from homeport.domain import printable

_TEXT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"


class _Text(logging.Formatter):
    """One line of text, and a traceback below where there is one; what was logged steers no terminal."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """Write the line."""
        return printable.line(super().formatMessage(record))

    def format(self, record: logging.LogRecord) -> str:
        """Write one record."""
        return printable.text(super().format(record))


class _JsonFormatter(logging.Formatter):
    """One JSON object a line: time (UTC), level, logger, message and, where there is one, the traceback."""

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802 - logging's name
        """Write the moment in UTC."""
        return time.strftime(datefmt or "%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created))

    def format(self, record: logging.LogRecord) -> str:
        """Write one record."""
        line = {
            "time": self.formatTime(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return printable.json(msgspec.json.encode(line).decode())


def configure_logging(level: str, style: str) -> None:
    """Log to standard error from `level` up; `style` is `text` or `json`. Other libraries speak from warning up."""
    handler = logging.StreamHandler()
    handler.setFormatter(_JsonFormatter() if style == "json" else _Text(_TEXT))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("homeport").setLevel(level.upper())
