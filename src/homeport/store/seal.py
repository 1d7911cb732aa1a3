"""What says, outside of a database, that it has held keys: so that a database that is lost or empty is noticed.

Knows nothing of keys.
"""

from pathlib import Path

from homeport import durable

_TEXT = b"The database of this name has held keys. Without it and without this file, a server lets everybody in.\n"


class Seal:
    """A file that is there from the first key on."""

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
            durable.make_folder(self._path.parent)
            durable.write(self._path, _TEXT)
        except OSError as error:
            raise durable.explained(error, str(self._path)) from error

    def remove(self) -> None:
        """The keys are lost, and the operator knows it."""
        self._path.unlink(missing_ok=True)
