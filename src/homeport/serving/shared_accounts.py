"""An account that several gateways share, as it is stored: what all of them used, and what each of them holds.

A gateway that no longer runs holds nothing: what its requests had reserved, and their places, are free again. Knows
nothing of where accounts are stored.
"""

import logging
from collections.abc import Callable, Collection
from typing import NamedTuple

import msgspec

from homeport.serving.limit_account import Account, Period
from homeport.serving.sliding_window import SlidingWindow

_SLOTS = 120
"""Half seconds: a quarter of the numbers to store, for 0.8 % of a limit that is free again later than it might be."""


class Holding(NamedTuple):
    """What one gateway holds of an account. `batch`: its last change, by which it recognizes that it was stored."""

    running: int = 0
    tokens: int = 0
    batch: int = 0


class _State(msgspec.Struct, frozen=True, array_like=True):
    requests: dict[int, int]
    tokens: dict[int, int]
    day: tuple[str, int]
    month: tuple[str, int]
    holdings: dict[str, tuple[int, int, int]]


_log = logging.getLogger("homeport.limits")
_DECODER = msgspec.msgpack.Decoder(_State)
_ENCODER = msgspec.msgpack.Encoder()


class SharedAccount:
    """One account, read by the gateway `own`. `account` counts all gateways together, as if they were one.

    `holding`: what this gateway holds by its own count, whatever is stored.
    """

    def __init__(self, stored: bytes | None, own: str, holding: Holding, alive: "Alive") -> None:
        state = _read(stored)
        others = {id: Holding(*each) for id, each in state.holdings.items() if id != own}
        if others and not alive.has_seen(others):
            running = alive.read()
            others = {id: each for id, each in others.items() if id in running}
        self.stored_batch = Holding(*state.holdings[own]).batch if own in state.holdings else 0
        self._own = own
        self._others = others
        self._others_running = sum(each.running for each in others.values())
        self._others_tokens = sum(each.tokens for each in others.values())
        held = self._others_tokens + holding.tokens
        self.account = Account(
            requests=SlidingWindow(_SLOTS, state.requests),
            tokens=SlidingWindow(_SLOTS, state.tokens),
            day=Period(*state.day, held),
            month=Period(*state.month, held),
            running=self._others_running + holding.running,
        )

    def holding(self, batch: int) -> Holding:
        """Return what this gateway holds now."""
        account = self.account
        return Holding(account.running - self._others_running, account.day.held - self._others_tokens, batch)

    def encode(self, batch: int) -> bytes:
        """Return the account as it is to be stored."""
        account, own = self.account, self.holding(batch)
        state = _State(
            dict(account.requests.slots),
            dict(account.tokens.slots),
            (account.day.name, account.day.taken),
            (account.month.name, account.month.taken),
            {**self._others, self._own: own},
        )
        return _ENCODER.encode(state)


def _read(stored: bytes | None) -> _State:
    """Return what is stored; a damaged account is treated as missing, so that it does not block the others."""
    try:
        if stored is not None:
            return _DECODER.decode(stored)
    except msgspec.DecodeError:
        _log.exception("an account of a key's limits is damaged and begins at 0")
    return _State({}, {}, ("", 0), ("", 0), {})


class Alive:
    """The gateways that run, read from the database at most once, and only if an unknown one holds something.

    `seen`: those that ran a moment ago. One that has just started is not among them.
    """

    def __init__(self, seen: Collection[str], read: Callable[[], Collection[str]]) -> None:
        self._seen = seen
        self._read = read
        self._ids: Collection[str] | None = None

    def has_seen(self, ids: Collection[str]) -> bool:
        """Whether all of these ran a moment ago."""
        return all(id in self._seen for id in ids)

    def read(self) -> Collection[str]:
        """Return the ids of those that run now."""
        if self._ids is None:
            self._ids = self._read()
        return self._ids
