"""The aliases that an operator edited while a server ran, recorded in the home folder.

Knows nothing of what is installed, nor of what an alias means.
"""

import logging
from collections.abc import Mapping
from pathlib import Path

import filelock
import msgspec

from homeport.domain.errors import InvalidRequest
from homeport.formats import atomic, durable_files
from homeport.models.aliases import Override

FILE_NAME = "aliases.json"
MAX_ALIASES = 1000
_log = logging.getLogger(__name__)


class RecordedAlias(msgspec.Struct, frozen=True):
    """What a name stands for. `target` None: for nothing. `encoding` None: that of OpenAI's name."""

    target: str | None = None
    encoding: str | None = None

    @property
    def override(self) -> Override:
        """This alias as `Aliases` takes it."""
        if self.target is None or self.encoding is None:
            return self.target
        return {"target": self.target, "encoding": self.encoding}


class RecordedAliases:
    """The record of one home. Any number of processes may use it, and see a change at the next `read`."""

    def __init__(self, home: Path) -> None:
        self._path = home / FILE_NAME
        self._stamp: tuple[int, int] | None = None
        self._aliases: Mapping[str, RecordedAlias] = {}
        self._made: tuple[Mapping[str, RecordedAlias], Mapping[str, Override]] = (self._aliases, {})

    def read(self) -> Mapping[str, RecordedAlias]:
        """Return the recorded aliases by name. A file that cannot be read counts as none, with a warning."""
        try:
            status = self._path.stat()
            stamp = (status.st_mtime_ns, status.st_ino)
        except FileNotFoundError:
            return {}
        if stamp != self._stamp:
            self._aliases = self._load()  # before the stamp: other threads read, too
            self._stamp = stamp  # a broken file is reported once
        return self._aliases

    def _load(self) -> Mapping[str, RecordedAlias]:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=dict[str, RecordedAlias])
        except (OSError, msgspec.DecodeError) as error:
            _log.warning("%s is ignored, so names have their built-in meanings: %s", self._path, error)
            return {}

    def overrides(self) -> Mapping[str, Override]:
        """Return the recorded aliases as `Aliases` takes them."""
        made_of, overrides = self._made
        aliases = self.read()
        if aliases is not made_of:
            overrides = {name: alias.override for name, alias in aliases.items()}
            self._made = aliases, overrides
        return overrides

    def write(self, name: str, alias: RecordedAlias | None) -> None:
        """Record an alias; None: forget what was recorded. Raises InvalidRequest if there are too many."""
        durable_files.make_folder(self._path.parent)
        with filelock.FileLock(self._path.with_name(f".{FILE_NAME}.lock")):
            changed = {each: known for each, known in self.read().items() if each != name}
            if alias is not None:
                changed[name] = alias
            if len(changed) > MAX_ALIASES:
                raise InvalidRequest(f"At most {MAX_ALIASES} aliases can be recorded: remove some first.")
            atomic.write_file(self._path, msgspec.json.encode(changed))
