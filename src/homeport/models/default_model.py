"""The text model that the user made the default one, recorded in the home folder.

Knows nothing of what is installed.
"""

import logging
from pathlib import Path

import msgspec

from homeport.formats import atomic, durable_files

FILE_NAME = "default-model.json"
_log = logging.getLogger(__name__)


class _Record(msgspec.Struct, frozen=True):
    text: str


class RecordedDefault:
    """The record of one home. Any number of processes may read it, and see a change at the next `read`."""

    def __init__(self, home: Path) -> None:
        self._path = home / FILE_NAME
        self._stamp: int | None = None
        self._name: str | None = None

    def read(self) -> str | None:
        """Return the recorded model's name, or None. A file that cannot be read counts as none, with a warning."""
        try:
            stamp = self._path.stat().st_mtime_ns
            if stamp != self._stamp:
                self._stamp, self._name = stamp, None  # a broken file is reported once
                self._name = msgspec.json.decode(self._path.read_bytes(), type=_Record).text
        except FileNotFoundError:
            self._stamp = self._name = None
        except (OSError, msgspec.DecodeError) as error:
            _log.warning("%s is ignored, so the default text model is a starter: %s", self._path, error)
        return self._name

    def write(self, name: str) -> None:
        """Record a model."""
        durable_files.make_folder(self._path.parent)
        atomic.write_file(self._path, msgspec.json.encode(_Record(name)))
