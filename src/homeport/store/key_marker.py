"""A marker file next to a database that records that it had keys, so that a lost or empty database is noticed."""

from pathlib import Path

from homeport.formats import atomic, durable_files

_TEXT = b"The database of this name has held keys. If it and this file are deleted, the server needs no key.\n"


class KeyMarker:
    """A file that exists once a key was created."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def is_set(self) -> bool:
        """Whether a key ever existed."""
        return self._path.exists()

    def set(self) -> None:
        """Record that a key exists. Raises Unavailable or StorageFull."""
        if self.is_set:
            return
        try:
            durable_files.make_folder(self._path.parent)
            atomic.write_file(self._path, _TEXT)
        except OSError as error:
            raise durable_files.storage_error(error, str(self._path)) from error

    def remove(self) -> None:
        """Delete the file, because the operator accepts the loss of the keys."""
        self._path.unlink(missing_ok=True)
