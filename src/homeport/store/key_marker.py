"""A marker file outside a database that says it has held keys, so that a lost or empty database is noticed.

Knows nothing of keys.
"""

from pathlib import Path

from homeport.formats import atomic, durable_files

_TEXT = b"The database of this name has held keys. If it and this file are deleted, the server needs no key.\n"


class KeyMarker:
    """A file that exists from the first key on."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def is_set(self) -> bool:
        """Whether there ever was a key."""
        return self._path.exists()

    def set(self) -> None:
        """There is a key. Raises Unavailable or StorageFull."""
        if self.is_set:
            return
        try:
            durable_files.make_folder(self._path.parent)
            atomic.write_file(self._path, _TEXT)
        except OSError as error:
            raise durable_files.storage_error(error, str(self._path)) from error

    def remove(self) -> None:
        """The keys are lost, and the operator knows it."""
        self._path.unlink(missing_ok=True)
