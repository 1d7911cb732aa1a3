"""Pictures kept for a while under names that nobody can guess. Implements `domain.ports.Pictures`.

A name says until when its picture is kept, so a server that starts anew knows as much as the one before. Knows nothing
of HTTP, nor of what is in a picture.
"""

import logging
import re
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from homeport.domain.images import ImageFormat
from homeport.domain.keys import LOCAL_PROJECT
from homeport.formats import atomic, durable_files

_NAME = re.compile(r"([0-9a-f]{8,12})-[0-9A-Za-z_-]{43}\.(?:png|jpeg|webp)")

_log = logging.getLogger("homeport.pictures")


class ImageFolder:
    """Pictures in `folder`, which is made for this user alone, each in one of its project.

    `kept_s`: for how long each is kept; `check` raises where a project may not keep so many bytes more.
    """

    def __init__(self, folder: Path, kept_s: float, clock: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._kept_s = kept_s
        self._clock = clock
        self._guard = threading.Lock()
        self.check: Callable[[str, int], None] = lambda _, __: None

    def save(self, data: bytes, format: ImageFormat, project: str = LOCAL_PROJECT) -> str:
        """Write a picture down and give its name; those that have expired go.

        Raises what `check` raises, StorageFull or Unavailable.
        """
        self.sweep()
        folder = self._folder / project
        name = f"{int(self._clock() + self._kept_s):08x}-{secrets.token_urlsafe(32)}.{format.value}"
        with self._guard:  # what one has checked, no other takes meanwhile
            self.check(project, len(data))
            try:
                durable_files.make_folder(self._folder)
                durable_files.make_folder(folder)
                atomic.write_file(folder / name, data)
            except OSError as error:
                raise durable_files.storage_error(error, "a picture") from error
        return name

    def sizes(self) -> Mapping[str, int]:
        """What each project keeps, in bytes."""
        found: Counter[str] = Counter()
        for path in self._folder.glob("*/*"):
            with suppress(FileNotFoundError):  # removed meanwhile
                found[path.parent.name] += path.stat().st_size
        return found

    def find(self, name: str) -> bytes | None:
        """A picture by its name; None where it has expired or never was."""
        if self._is_over(name):
            return None
        found = next((path for path in (self._folder / name, *self._folder.glob(f"*/{name}")) if path.is_file()), None)
        try:
            return found.read_bytes() if found else None
        except FileNotFoundError:
            return None

    def sweep(self) -> None:
        """Remove what has expired, and what was left half written long ago."""
        for path in (*self._folder.glob("*"), *self._folder.glob("*/*")):
            if path.is_dir() or not self._is_over(path.name.removesuffix(atomic.PARTIAL)):
                continue
            try:
                path.unlink(missing_ok=True)
            except OSError as error:  # one that cannot be removed keeps no other from it, and no picture from its place
                _log.warning("%s cannot be removed: %s", path, error.strerror)

    def _is_over(self, name: str) -> bool:
        """Whether a name's time is over; also where it is no name of ours."""
        match = _NAME.fullmatch(name)
        return match is None or int(match[1], 16) <= self._clock()
