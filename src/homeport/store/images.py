"""Images, and shapes, that are stored for a limited time under unguessable names.

A name contains the time at which its image expires, so a restarted server needs no other record. Knows nothing of HTTP
or the content of images.
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
from homeport.domain.shapes import ShapeFormat
from homeport.formats import atomic, durable_files

_NAME = re.compile(r"([0-9a-f]{8,12})-[0-9A-Za-z_-]{43}\.(?:png|jpeg|webp|ply|glb|json)")

_log = logging.getLogger("homeport.pictures")


class ImageFolder:
    """Images in `folder`, which is created for this user alone, with a folder per project.

    `keep_s`: the time until an image expires. `check` raises if a project may not store that many bytes more.
    """

    def __init__(self, folder: Path, keep_s: float, clock: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._keep_s = keep_s
        self._clock = clock
        self._guard = threading.Lock()
        self.check: Callable[[str, int], None] = lambda _, __: None

    def save(self, data: bytes, format: ImageFormat | ShapeFormat, project: str = LOCAL_PROJECT) -> str:
        """Store an image and return its name. Deletes expired images.

        Raises what `check` raises, StorageFull or Unavailable.
        """
        self.sweep()
        folder = self._folder / project
        name = new_name(self._clock() + self._keep_s, format)
        with self._guard:  # no other image may use the space between check and write
            self.check(project, len(data))
            try:
                durable_files.make_folder(self._folder)
                durable_files.make_folder(folder)
                atomic.write_file(folder / name, data)
            except OSError as error:
                raise durable_files.storage_error(error, "an image") from error
        return name

    def sizes(self) -> Mapping[str, int]:
        """Return the bytes that each project stores."""
        sizes: Counter[str] = Counter()
        for path in self._folder.glob("*/*"):
            with suppress(FileNotFoundError):  # deleted meanwhile
                sizes[path.parent.name] += path.stat().st_size
        return sizes

    def find(self, name: str) -> bytes | None:
        """Return an image by its name; None if it has expired or never existed."""
        if self._is_expired(name):
            return None
        path = next((path for path in (self._folder / name, *self._folder.glob(f"*/{name}")) if path.is_file()), None)
        try:
            return path.read_bytes() if path else None
        except FileNotFoundError:
            return None

    def sweep(self) -> None:
        """Delete expired images, and old files that were not written completely."""
        for path in (*self._folder.glob("*"), *self._folder.glob("*/*")):
            if path.is_dir() or not self._is_expired(path.name.removesuffix(atomic.PARTIAL)):
                continue
            try:
                path.unlink(missing_ok=True)
            except OSError as error:  # the others are deleted, and images are stored, all the same
                _log.warning("cannot delete %s: %s", path, error.strerror)

    def _is_expired(self, name: str) -> bool:
        return is_expired(name, self._clock())


def new_name(expires_at: float, format: ImageFormat | ShapeFormat) -> str:
    """Return an unguessable name that contains the time at which its image expires."""
    return f"{int(expires_at):08x}-{secrets.token_urlsafe(32)}.{format.value}"


def is_expired(name: str, now: float) -> bool:
    """Return whether an image has expired, by its name. Other names count as expired."""
    match = _NAME.fullmatch(name)
    return match is None or int(match[1], 16) <= now
