"""Pictures kept for a while under names that nobody can guess. Implements `domain.ports.Pictures`.

A name says until when its picture is kept, so a server that starts anew knows as much as the one before. Knows nothing
of HTTP, nor of what is in a picture.
"""

import logging
import re
import secrets
import time
from collections.abc import Callable
from pathlib import Path

from homeport import durable
from homeport.domain.images import Format

_NAME = re.compile(r"([0-9a-f]{8,12})-[0-9A-Za-z_-]{43}\.(?:png|jpeg|webp)")

_log = logging.getLogger("homeport.pictures")


class Pictures:
    """Pictures in `folder`, which is made for this user alone. `kept_s`: for how long each is kept."""

    def __init__(self, folder: Path, kept_s: float, clock: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._kept_s = kept_s
        self._clock = clock

    def keep(self, data: bytes, format: Format) -> str:
        """Write a picture down and give its name; those that have expired go. Raises StorageFull or Unavailable."""
        self.sweep()
        name = f"{int(self._clock() + self._kept_s):08x}-{secrets.token_urlsafe(32)}.{format.value}"
        try:
            durable.make_folder(self._folder)
            durable.write(self._folder / name, data)
        except OSError as error:
            raise durable.explained(error, "a picture") from error
        return name

    def find(self, name: str) -> bytes | None:
        """A picture by its name; None where it has expired or never was."""
        if self._is_over(name):
            return None
        try:
            return (self._folder / name).read_bytes()
        except FileNotFoundError:
            return None

    def sweep(self) -> None:
        """Remove what has expired, and what was left half written long ago."""
        for path in self._folder.glob("*"):
            if not self._is_over(path.name.removesuffix(".partial")):
                continue
            try:
                path.unlink(missing_ok=True)
            except OSError as error:  # one that cannot be removed keeps no other from it, and no picture from its place
                _log.warning("%s cannot be removed: %s", path, error.strerror)

    def _is_over(self, name: str) -> bool:
        """Whether a name's time is over; also where it is no name of ours."""
        match = _NAME.fullmatch(name)
        return match is None or int(match[1], 16) <= self._clock()
