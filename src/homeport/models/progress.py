"""How a pull tells what it is doing. Knows nothing of terminals: the command line brings its own bar."""

from typing import Protocol


class Progress(Protocol):
    """Hears about one pull: how many bytes there are, how many came, and what is going on."""

    def total(self, size: int) -> None:
        """All of it is `size` bytes, those already here included."""
        ...

    def advance(self, size: int) -> None:
        """`size` more bytes are here. Negative where bytes had to be thrown away."""
        ...

    def message(self, text: str) -> None:
        """One line for the user."""
        ...


class Silent:
    """A `Progress` that tells nobody."""

    def total(self, size: int) -> None:
        """Tell nobody."""

    def advance(self, size: int) -> None:
        """Tell nobody."""

    def message(self, text: str) -> None:
        """Tell nobody."""
