"""How much of its limits each key has taken: the last minute, this day, this month, and what runs now.

In memory, one account for each key; knows nothing of HTTP, nor where limits come from. A request is counted when it
begins. Its tokens are reserved by an estimate and settled by what it really took, in the moment that it began in, so
that over any minute no more than the limit is taken by requests begun in it.
"""

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

from homeport.domain.accounts import Allowance, Key
from homeport.domain.errors import QuotaSpent, RateLimited

_MINUTE_S = 60.0
_SLOTS = 240
_DAY_S = 86_400


class _Slot:
    """What was taken in one quarter of a second."""

    __slots__ = ("ends", "taken")

    def __init__(self, ends: float) -> None:
        self.ends = ends
        self.taken = 0


class Window:
    """What was taken in the last minute, in quarters of a second; one is forgotten a minute after its own end."""

    def __init__(self) -> None:
        self._slots: deque[_Slot] = deque()
        self._total = 0

    def taken(self, now: float) -> int:
        """How much was taken in the minute before `now`."""
        slots = self._slots
        while slots and slots[0].ends + _MINUTE_S <= now:
            self._total -= slots.popleft().taken
        return self._total

    def take(self, amount: int, now: float) -> _Slot:
        """Count `amount`; what is given back is for `change`."""
        self.taken(now)
        if not self._slots or self._slots[-1].ends <= now:
            length = _MINUTE_S / _SLOTS
            self._slots.append(_Slot((now // length + 1) * length))
        slot = self._slots[-1]
        self.change(slot, amount, now)
        return slot

    def change(self, slot: _Slot, amount: int, now: float) -> None:
        """Count `amount` more, or less, in a moment that may be gone: then what is more counts now."""
        if slot.ends + _MINUTE_S > now:
            slot.taken += amount
            self._total += amount
        elif amount > 0:
            self.take(amount, now)

    def wait_s(self, amount: int, limit: int, now: float) -> float:
        """How long until `amount` more fits under `limit`; for more than the limit, until all is forgotten."""
        over = self.taken(now) + amount - limit
        wait_s = 0.0
        for slot in self._slots:
            if over <= 0:
                break
            over -= slot.taken
            wait_s = slot.ends + _MINUTE_S - now
        return wait_s

    def reset_s(self, now: float) -> float:
        """How long until all is forgotten, if nothing more is taken."""
        self.taken(now)
        last = next((slot for slot in reversed(self._slots) if slot.taken), None)
        return last.ends + _MINUTE_S - now if last else 0.0


@dataclass
class _Period:
    """Tokens of a calendar period of UTC: `name` says which one it is, `held` are those of requests under way."""

    name: str = ""
    taken: int = 0
    held: int = 0

    def turn(self, name: str) -> None:
        """Begin anew where a new period has begun."""
        if name != self.name:
            self.name, self.taken = name, 0


@dataclass
class _Account:
    """One key's."""

    requests: Window = field(default_factory=Window)
    tokens: Window = field(default_factory=Window)
    day: _Period = field(default_factory=_Period)
    month: _Period = field(default_factory=_Period)
    running: int = 0
    today: int = -1

    def turn(self, now: float) -> None:
        """Look at the calendar, which costs something on a new day only."""
        today = int(now // _DAY_S)
        if today != self.today:
            self.today = today
            moment = datetime.fromtimestamp(now, UTC)
            self.day.turn(moment.strftime("%Y-%m-%d"))
            self.month.turn(moment.strftime("%Y-%m"))


class Rate(NamedTuple):
    """How one limit of the last minute stands: what it is, what is left, and when it is whole again."""

    limit: int
    remaining: int
    reset_s: float


class Passage:
    """One request under way, and what it takes of its key's limits. Without a key it takes nothing of anything."""

    limits = Allowance()

    def enter(self) -> None:
        """Let it begin. Raises RateLimited; then it is not counted."""

    def reserve(self, tokens: int) -> None:
        """Count what a request will probably take. Raises RateLimited, or QuotaSpent; then nothing is counted."""

    def settle(self, tokens: int) -> None:
        """Count what it really took, in place of what was reserved."""

    def leave(self) -> None:
        """It is over. Safe to call twice, and without having entered."""

    def rates(self) -> Mapping[str, Rate]:
        """How `requests` and `tokens` stand now, where they have a limit."""
        return {}


FREE = Passage()
"""The passage of all that has no key of its own."""


class Quotas:
    """The accounts of all keys. `clock` runs in seconds, `now` is the wall clock."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, now: Callable[[], float] = time.time) -> None:
        self.clock = clock
        self.now = now
        self._accounts: dict[str, _Account] = {}

    def seed(self, key_id: str, day_tokens: int, month_tokens: int) -> None:
        """Say what a key had taken today and this month before this server began."""
        account = self._account(key_id)
        account.turn(self.now())
        account.day.taken += day_tokens
        account.month.taken += month_tokens

    def passage(self, key: Key) -> Passage:
        """The passage of a request with this key, which has not entered yet."""
        return _Counted(self, key, self._account(key.id))

    def _account(self, key_id: str) -> _Account:
        account = self._accounts.get(key_id)
        if account is None:
            account = self._accounts[key_id] = _Account()
        return account


class _Counted(Passage):
    """The passage of a request with a key."""

    def __init__(self, quotas: Quotas, key: Key, account: _Account) -> None:
        self.limits = key.limits
        self._name = key.name
        self._quotas = quotas
        self._account = account
        self._is_inside = False
        self._slot: _Slot | None = None
        self._reserved = 0

    def enter(self) -> None:
        """Let it begin."""
        account, now = self._account, self._quotas.clock()
        most = self.limits.concurrent_requests
        if most is not None and account.running >= most:
            raise RateLimited(
                f"Concurrency limit reached for {self._name}: Limit {most}, Running {account.running}. Please try "
                "again when one of them has ended.",
                retry_after_s=1.0,
            )
        limit = self.limits.requests_per_minute
        if limit is not None and account.requests.taken(now) >= limit:
            wait_s = account.requests.wait_s(1, limit, now)
            raise RateLimited(
                f"Rate limit reached for {self._name} on requests per min (RPM): Limit {limit}, Used "
                f"{account.requests.taken(now)}, Requested 1. Please try again in {wait_s:.3f}s.",
                retry_after_s=wait_s,
            )
        account.requests.take(1, now)
        account.running += 1
        self._is_inside = True

    def reserve(self, tokens: int) -> None:
        """Count what it will probably take."""
        account, now = self._account, self._quotas.clock()
        account.turn(self._quotas.now())
        self._check_periods()
        per_minute = self.limits.tokens_per_minute
        if per_minute is not None and account.tokens.taken(now) + tokens > per_minute:
            raise self._too_many(tokens, per_minute, now)
        self._slot = account.tokens.take(tokens, now)
        self._reserved = tokens
        account.day.held += tokens
        account.month.held += tokens

    def settle(self, tokens: int) -> None:
        """Count what it took."""
        if self._slot is None:
            return
        account, now = self._account, self._quotas.clock()
        account.turn(self._quotas.now())
        account.tokens.change(self._slot, tokens - self._reserved, now)
        for period in (account.day, account.month):
            period.held -= self._reserved
            period.taken += tokens
        self._slot = None

    def leave(self) -> None:
        """It is over."""
        if self._is_inside:
            self._is_inside = False
            self._account.running -= 1

    def rates(self) -> Mapping[str, Rate]:
        """How the limits of the last minute stand."""
        now, found = self._quotas.clock(), {}
        windows = (
            ("requests", self._account.requests, self.limits.requests_per_minute),
            ("tokens", self._account.tokens, self.limits.tokens_per_minute),
        )
        for name, window, limit in windows:
            if limit is not None:
                found[name] = Rate(limit, max(0, limit - window.taken(now)), window.reset_s(now))
        return found

    def _check_periods(self) -> None:
        for what, period, limit in (
            ("day", self._account.day, self.limits.tokens_per_day),
            ("month", self._account.month, self.limits.tokens_per_month),
        ):
            if limit is not None and period.taken + period.held >= limit:
                raise QuotaSpent(
                    f"You exceeded your current quota: {self._name} may take {limit} tokens a {what} and has taken "
                    f"{period.taken}. It begins anew with the next {what} (UTC).",
                    retry_after_s=_left_s(what, datetime.fromtimestamp(self._quotas.now(), UTC)),
                )

    def _too_many(self, tokens: int, limit: int, now: float) -> RateLimited:
        window = self._account.tokens
        wait_s = window.wait_s(tokens, limit, now)
        told = f"tokens per min (TPM): Limit {limit}, Used {window.taken(now)}, Requested {tokens}"
        if tokens > limit:
            return RateLimited(
                f"Request too large for {self._name} on {told}. The input or output tokens must be reduced in order "
                "to run successfully.",
                retry_after_s=max(wait_s, _MINUTE_S),
            )
        return RateLimited(
            f"Rate limit reached for {self._name} on {told}. Please try again in {wait_s:.3f}s.",
            retry_after_s=wait_s,
        )


def _left_s(what: str, moment: datetime) -> float:
    """How long a day or a month of UTC still lasts."""
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    if what == "day":
        return 86_400.0 - (moment - midnight).total_seconds()
    first = midnight.replace(day=1)
    after = first.replace(year=first.year + first.month // 12, month=first.month % 12 + 1)
    return (after - moment).total_seconds()
