"""What serving needs of the storage of limits that several gateways share: the accounts of keys, and who else runs."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

States = Mapping[str, bytes | None]
"""What is stored of each account, by the id of its key; None: nothing yet."""


class LimitAccounts(Protocol):
    """The accounts of keys. Synchronous: the event loop calls it through a thread."""

    def change(self, key_ids: Sequence[str], change: Callable[[States], Mapping[str, bytes]]) -> None:
        """Replace the states of accounts by what `change` makes of them; nobody else changes them meanwhile.

        Raises Unavailable; then it is unknown whether they are changed.
        """
        ...

    def read(self, key_id: str) -> bytes | None:
        """Return the state of one account. Raises Unavailable."""
        ...


class Gateways(Protocol):
    """The gateways that share a database, of which this process is one."""

    @property
    def id(self) -> str:
        """The id of this gateway, different after every start."""
        ...

    def now(self) -> float:
        """Return the database's time in seconds since 1970, which is the same for all."""
        ...

    def seen(self) -> Collection[str]:
        """Return the ids of those that ran a moment ago. Never blocks."""
        ...

    def read_alive(self) -> Collection[str]:
        """Read the ids of those that run now from the database. Raises Unavailable."""
        ...
