"""Passes llama.cpp's log to Python logging, and keeps its latest errors and warnings for error messages.

llama.cpp writes parts of lines from any of its threads. Knows nothing of models.
"""

import logging
import re
import threading
from collections import Counter, deque
from collections.abc import Mapping
from pathlib import Path

import msgspec

_LEVELS = {1: logging.DEBUG, 2: logging.DEBUG, 3: logging.WARNING, 4: logging.ERROR}
_CONTINUED = 5
_MIB = 1 << 20

# Irrelevant warnings, logged for every unified cache: `n_ctx_seq` is then that of all sequences together, and the
# engine keeps each in its window.
_IRRELEVANT = ("training context overflow", "full capacity of the model will not be utilized")

_LOADED = re.compile(r"loaded (\S+) backend from (.+)")
_BUFFER = re.compile(r"(\S+) +(?:model|KV|RS|compute|output) buffer size = +([\d.]+) MiB")
_OFFLOADED = re.compile(r"offloaded (\d+)/(\d+) layers")

logger = logging.getLogger("homeport.llama")


class LoadReport(msgspec.Struct, frozen=True):
    """What llama.cpp logged about a load: bytes by name of the buffer's device, layers on GPUs, and all layers."""

    buffers: Mapping[str, int]
    layers: int = 0
    total: int = 0


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
        self._buffers: Counter[str] = Counter()
        self._layers = (0, 0)

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

    def take_report(self) -> LoadReport:
        """Return what was logged about models and contexts since the last call; only the log shows their memory."""
        with self._lock:
            self._flush()
            report = LoadReport(dict(self._buffers), *self._layers)
            self._buffers.clear()
            self._layers = (0, 0)
        return report

    def _flush(self) -> None:
        line, self._line = self._line.strip(), ""
        if not line:
            return
        if loaded := _LOADED.search(line):
            self.backends.append(Path(loaded[2]))
        if buffer := _BUFFER.search(line):
            self._buffers[buffer[1]] += int(float(buffer[2]) * _MIB)
        if offloaded := _OFFLOADED.search(line):
            self._layers = (int(offloaded[1]), int(offloaded[2]))
        level = logging.DEBUG if any(words in line for words in _IRRELEVANT) else self._level
        if level >= logging.WARNING:
            self._errors.append(line)
        logger.log(level, "%s", line)
