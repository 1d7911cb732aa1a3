"""Configures the log: one line per event on standard error, as text or as JSON, and the latest ones in memory.

Prompts and keys never reach a logger: callers do not pass them.
"""

import logging
import time

import msgspec

from homeport.api.log_lines import WORKER_LOGGER, LogLines, LogLinesHandler
from homeport.domain import printable
from homeport.settings import Settings

_TEXT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"


class _TextFormatter(logging.Formatter):
    """One line of text, followed by the traceback if there is one. Control characters are escaped."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """Format the line."""
        return printable.line(super().formatMessage(record))

    def format(self, record: logging.LogRecord) -> str:
        """Format one record."""
        return printable.text(super().format(record))


class _JsonFormatter(logging.Formatter):
    """One JSON object per line: time (UTC), level, logger, message and, if there is one, the traceback."""

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802 - logging's name
        """Format the time in UTC."""
        return time.strftime(datefmt or "%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created))

    def format(self, record: logging.LogRecord) -> str:
        """Format one record."""
        line = {
            "time": self.formatTime(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return printable.json(msgspec.json.encode(line).decode())


def configure_logging(level: str, style: str, lines_handler: logging.Handler | None = None) -> None:
    """Log from `level` up to standard error; `style` is `text` or `json`. Other libraries log from warning up.

    `lines_handler` receives the same, and the output of workers whatever the level is.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(_JsonFormatter() if style == "json" else _TextFormatter(_TEXT))
    lowest = logging.getLevelNamesMapping()[level.upper()]
    handler.addFilter(lambda record: record.levelno >= lowest or record.name != WORKER_LOGGER)
    handlers = [handler] if lines_handler is None else [handler, lines_handler]
    logging.basicConfig(level=logging.WARNING, handlers=handlers, force=True)
    logging.getLogger("homeport").setLevel(level.upper())
    logging.getLogger(WORKER_LOGGER).setLevel(logging.NOTSET if lines_handler is None else logging.DEBUG)


def lines_handler(settings: Settings, lines: LogLines) -> LogLinesHandler:
    """Return the handler that adds what is logged to `lines`, without the secrets of the settings."""
    secrets = (settings.admin_key, settings.metrics_key, settings.hf_token, settings.ms_token)
    return LogLinesHandler(lines, [*settings.api_keys, *filter(None, secrets)])
