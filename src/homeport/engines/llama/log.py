"""Passes llama.cpp's log to Python logging, and keeps its latest errors and warnings for error messages.

llama.cpp writes parts of lines from any of its threads. Knows nothing of models.
"""

import logging
import re
import threading
from collections import deque
from pathlib import Path

_LEVELS = {1: logging.DEBUG, 2: logging.DEBUG, 3: logging.WARNING, 4: logging.ERROR}
_CONTINUED = 5

# Irrelevant warnings, logged for every unified cache: `n_ctx_seq` is then that of all sequences together, and the
# engine keeps each in its window.
_IRRELEVANT = ("training context overflow", "full capacity of the model will not be utilized")

_LOADED = re.compile(r"loaded (\S+) backend from (.+)")

logger = logging.getLogger("homeport.llama")


class LlamaLog:
    """Joins parts of lines, logs the lines, and keeps the latest errors and warnings.

    `backends` are the files of the backends that llama.cpp logged as loaded: only the log shows which CPU variant it
    chose.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._level = logging.DEBUG
        self._line = ""
        self._errors: deque[str] = deque(maxlen=4)
        self.backends: list[Path] = []

    def write(self, level: int, text: str) -> None:
        """Add one part of a line, as `ggml_log_callback` receives it; level 5 continues the previous part."""
        with self._lock:
            if level != _CONTINUED:
                self._flush()
                self._level = _LEVELS.get(level, logging.DEBUG)
            self._line += text
            if self._line.endswith("\n"):
                self._flush()

    def take_errors(self) -> str:
        """Return the latest warnings and errors in one line, and clear them."""
        with self._lock:
            self._flush()
            errors = "; ".join(self._errors)
            self._errors.clear()
        return errors

    def _flush(self) -> None:
        line, self._line = self._line.strip(), ""
        if not line:
            return
        if loaded := _LOADED.search(line):
            self.backends.append(Path(loaded[2]))
        level = logging.DEBUG if any(words in line for words in _IRRELEVANT) else self._level
        if level >= logging.WARNING:
            self._errors.append(line)
        logger.log(level, "%s", line)
