"""All connections of the server: how many there may be, which are closed first, and the clock for their timeouts.

Knows nothing of HTTP. The clock advances only at each check, so no client times out because this process was suspended.
"""

from collections import Counter
from collections.abc import Callable
from typing import Protocol

from homeport.api.http.limits import ConnectionLimits
from homeport.domain.errors import HomeportError, Overloaded, Unavailable
from homeport.domain.security import is_loopback

_MAX_STEP_S = 2.0
"""The clock advances by at most this at a check."""
_BEHIND_S = 5.0
"""A connection whose client has read something within this time is not closed for its unsent bytes."""
_IDLE_PER_CLOSED = 16
"""To make room, one idle connection is closed, plus one for every this many idle ones."""


class PooledConnection(Protocol):
    """A connection, as the pool sees it."""

    @property
    def idle_since(self) -> float | None:
        """Since when no request has been running; None while one is."""

    @property
    def unsent(self) -> int:
        """Buffered bytes that its client has not read."""

    @property
    def behind_since(self) -> float:
        """When its client last read anything, or had read everything."""

    def check(self) -> None:
        """Enforce its timeouts."""

    def abort(self) -> None:
        """Close it at once."""


class ConnectionPool:
    """The connections of one server. `now` is its clock; `is_proxy` recognizes addresses of trusted proxies."""

    def __init__(
        self, limits: ConnectionLimits, clock: Callable[[], float], is_proxy: Callable[[str], bool] = lambda _: False
    ) -> None:
        self.limits = limits
        self.now = 0.0
        self._clock = clock
        self._last = clock()
        self._is_proxy = is_proxy
        self._members: dict[PooledConnection, str] = {}
        self._addresses: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._members)

    def admit(self, member: PooledConnection, address: str) -> HomeportError | None:
        """Admit a connection, or return why not. If there are too many, idle ones are closed."""
        if self._is_counted(address) and self._addresses[address] >= self.limits.per_address:
            return Overloaded(
                f"Your address has {self.limits.per_address} connections already, which is the limit.",
                code="too_many_connections",
            )
        if len(self._members) >= self.limits.connections and not self._make_room():
            return Unavailable("The server has reached its limit of connections.", code="too_many_connections")
        self._members[member] = address
        self._addresses[address] += 1
        return None

    def discard(self, member: PooledConnection) -> None:
        """Remove a connection, if it was admitted."""
        address = self._members.pop(member, None)
        if address is None:
            return
        self._addresses[address] -= 1
        if not self._addresses[address]:
            del self._addresses[address]

    def check_all(self) -> None:
        """Advance the clock and enforce all timeouts; call it about twice a second."""
        now = self._clock()
        self.now += min(now - self._last, _MAX_STEP_S)
        self._last = now
        for member in list(self._members):
            member.check()
        self._bound_unsent()

    def _make_room(self) -> bool:
        waiting = [(since, member) for member in self._members if (since := member.idle_since) is not None]
        waiting.sort(key=lambda pair: pair[0])
        for _, member in waiting[: 1 + len(waiting) // _IDLE_PER_CLOSED]:
            self.discard(member)
            member.abort()
        return bool(waiting)

    def _bound_unsent(self) -> None:
        behind = [(member.behind_since, member.unsent, member) for member in self._members if member.unsent]
        total = sum(unsent for _, unsent, _ in behind)
        if total <= self.limits.unsent:
            return
        for since, unsent, member in sorted(behind, key=lambda entry: entry[0]):
            if total <= self.limits.unsent or self.now - since < _BEHIND_S:
                return
            total -= unsent
            member.abort()

    def _is_counted(self, address: str) -> bool:
        # The address of a Unix socket is empty.
        return bool(address) and not is_loopback(address) and not self._is_proxy(address)
