"""llama.cpp's log as Python logging, and its last complaints for error messages.

llama.cpp writes pieces of lines from any of its threads. Knows nothing of models.
"""

import logging
import re
import threading
from collections import deque
from pathlib import Path

_LEVELS = {1: logging.DEBUG, 2: logging.DEBUG, 3: logging.WARNING, 4: logging.ERROR}
_CONTINUED = 5

# Said of every unified cache: `n_ctx_seq` is then all sequences together, and the engine keeps each in its window.
_MISTAKEN = ("training context overflow", "full capacity of the model will not be utilized")

_LOADED = re.compile(r"loaded (\S+) backend from (.+)")

logger = logging.getLogger("homeport.llama")


class LlamaLog:
    """Puts pieces together to lines, logs them, and keeps the last errors and warnings.

    `backends` are the files of the backends it said it loaded: the only way it tells which CPU variant it chose.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._level = logging.DEBUG
        self._line = ""
        self._complaints: deque[str] = deque(maxlen=4)
        self.backends: list[Path] = []

    def write(self, level: int, text: str) -> None:
        """Take one piece, as `ggml_log_callback` gives it; level 5 continues the line before."""
        with self._lock:
            if level != _CONTINUED:
                self._flush()
                self._level = _LEVELS.get(level, logging.DEBUG)
            self._line += text
            if self._line.endswith("\n"):
                self._flush()

    def take_errors(self) -> str:
        """The last warnings and errors in one line, and forget them."""
        with self._lock:
            self._flush()
            said = "; ".join(self._complaints)
            self._complaints.clear()
        return said

    def _flush(self) -> None:
        line, self._line = self._line.strip(), ""
        if not line:
            return
        if loaded := _LOADED.search(line):
            self.backends.append(Path(loaded[2]))
        level = logging.DEBUG if any(words in line for words in _MISTAKEN) else self._level
        if level >= logging.WARNING:
            self._complaints.append(line)
        logger.log(level, "%s", line)
