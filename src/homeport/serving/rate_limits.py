"""How much of its limits each key has used: the last minute, this day, this month, and what runs now.

In memory, one account per key; knows nothing of HTTP, nor where limits come from. A request is counted when it starts.
Its tokens are reserved before they are used: the prompt by an estimate, an answer in slices while it grows (or, in a
minute's limit, all at once if its length is bounded), so that all requests of a key together never exceed its limits.
Reserved tokens that were not used are returned at the end.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

from homeport.domain.errors import QuotaExceeded, RateLimited
from homeport.domain.keys import Key, KeyLimits
from homeport.serving.sliding_window import MINUTE_S, SlidingWindow, WindowSlot

SLICE = 256
"""Tokens of an answer that are reserved at a time."""
_DAY_S = 86_400


@dataclass
class _Period:
    """Tokens of a calendar period in UTC: `name` identifies it, `held` are reserved by running requests."""

    name: str = ""
    taken: int = 0
    held: int = 0

    def left(self, limit: int) -> int:
        """Return the tokens that are neither used nor reserved."""
        return limit - self.taken - self.held

    def roll_over(self, name: str) -> None:
        """Start at 0 if a new period has begun."""
        if name != self.name:
            self.name, self.taken = name, 0


@dataclass
class _Account:
    """The account of one key."""

    requests: SlidingWindow = field(default_factory=SlidingWindow)
    tokens: SlidingWindow = field(default_factory=SlidingWindow)
    day: _Period = field(default_factory=_Period)
    month: _Period = field(default_factory=_Period)
    running: int = 0
    today: int = -1

    def roll_over(self, now: float) -> None:
        """Update the calendar periods; expensive on a new day only."""
        today = int(now // _DAY_S)
        if today != self.today:
            self.today = today
            moment = datetime.fromtimestamp(now, UTC)
            self.day.roll_over(moment.strftime("%Y-%m-%d"))
            self.month.roll_over(moment.strftime("%Y-%m"))


class LimitStatus(NamedTuple):
    """One limit of the last minute: its size, what remains, and the time until all of it is available again."""

    limit: int
    remaining: int
    reset_s: float


class TokensUsed(NamedTuple):
    """The tokens that a key has used on this day and in this month, in UTC."""

    day: int
    month: int


class RateLimitTicket:
    """One request and its share of its key's limits. Without a key there are no limits.

    `limited_by`: the limit that ended its answer, by its name in `KeyLimits`.
    """

    limits = KeyLimits()
    limited_by = ""

    def acquire(self) -> None:
        """Start the request. Raises RateLimited; then it is not counted."""

    def reserve(self, prompt: int, answer: int | None = 0) -> int | None:  # noqa: ARG002 - subclasses use them
        """Reserve tokens for a prompt (an estimate) and the beginning of an answer of at most `answer` (None: any).

        A request that needs several engine requests reserves again for each, after it has settled the one before.

        Returns how many tokens both may use before `more` is called; None: no limit. Raises RateLimited, or
        QuotaExceeded; then nothing is reserved.
        """
        return None

    def more(self, used: int, wanted: int) -> int:  # noqa: ARG002 - subclasses use both
        """Reserve another slice for a request that used `used` tokens and can use `wanted` more; 0: none is left."""
        return wanted

    def admit(self, prompt: int, *, has_answer: bool = False) -> None:
        """Reserve what the estimate of the prompt was short of. Raises RateLimited, or QuotaExceeded."""

    def settle(self, tokens: int) -> None:
        """Count the tokens that were used, instead of the reserved ones."""

    def release(self) -> None:
        """End the request. Safe to call twice, and without `acquire`."""

    def sibling(self) -> "RateLimitTicket":
        """Return a ticket for engine requests that run at the same time as those of this one.

        It reserves and settles tokens of the same key for itself. It is no request of its own: it is not acquired.
        """
        return self

    def limit_status(self) -> Mapping[str, LimitStatus]:
        """Return the current status of `requests` and `tokens`, if they have a limit."""
        return {}


UNLIMITED = RateLimitTicket()
"""The ticket of requests without a key of their own."""


class RateLimiter:
    """The accounts of all keys. `clock` runs in seconds, `now` is the wall clock."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, now: Callable[[], float] = time.time) -> None:
        self.clock = clock
        self.now = now
        self._accounts: dict[str, _Account] = {}

    def seed(self, key_id: str, day_tokens: int, month_tokens: int) -> None:
        """Set what a key had used today and this month before this server started."""
        account = self._account(key_id)
        account.roll_over(self.now())
        account.day.taken += day_tokens
        account.month.taken += month_tokens

    def tokens_used(self, key_id: str) -> TokensUsed:
        """Return what a key has used, without what running requests have reserved."""
        account = self._accounts.get(key_id)
        if account is None:
            return TokensUsed(0, 0)
        account.roll_over(self.now())
        return TokensUsed(account.day.taken, account.month.taken)

    def ticket(self, key: Key, *, is_background: bool = False) -> RateLimitTicket:
        """Return the ticket of a request with this key, not yet acquired.

        A background request counts neither as one of a minute's requests nor as a concurrent one, and leaves half of a
        minute's tokens to others.
        """
        return _KeyTicket(self, key, self._account(key.id), is_background=is_background)

    def _account(self, key_id: str) -> _Account:
        account = self._accounts.get(key_id)
        if account is None:
            account = self._accounts[key_id] = _Account()
        return account


class _KeyTicket(RateLimitTicket):
    """The ticket of a request with a key.

    `_total` tokens are reserved in the periods; `_slots` are those of the last minute's limit, oldest first, and
    `_ahead` of them were reserved at once for an answer of bounded length and are not yet part of `_total`.
    """

    def __init__(self, limiter: RateLimiter, key: Key, account: _Account, *, is_background: bool = False) -> None:
        self._is_background = is_background
        self._key = key
        self.limits = key.limits
        self._name = key.name
        self._limiter = limiter
        self._account = account
        self._is_running = False
        self._slots: list[tuple[WindowSlot, int]] = []
        self._total = 0
        self._ahead = 0
        self._least = 0
        self._used = 0

    def acquire(self) -> None:
        """Start the request."""
        if self._is_background:
            return
        account, now = self._account, self._limiter.clock()
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
        self._is_running = True

    def reserve(self, prompt: int, answer: int | None = 0) -> int | None:
        """Reserve tokens for a prompt and the beginning of an answer."""
        account, now = self._account, self._limiter.clock()
        account.roll_over(self._limiter.now())
        self._check_periods(1)
        first_slice = prompt + (SLICE if answer is None else min(SLICE, answer))
        at_once = first_slice
        if self.limits.tokens_per_minute is not None:
            self._least = prompt + (1 if answer is None else answer)
            left = self._left_of_minute(self._least, now)
            at_once = self._least if answer is not None else min(first_slice, left)
            first_slice = min(first_slice, at_once)
        self._total = min([first_slice, *(period.left(limit) for _, period, limit in self._periods())])
        self._slots = [(account.tokens.take(at_once, now), at_once)]
        self._ahead = at_once - self._total
        self._used = 0
        account.day.held += self._total
        account.month.held += self._total
        return self._total if self._has_token_limit else None

    def more(self, used: int, wanted: int) -> int:
        """Reserve another slice."""
        account, now = self._account, self._limiter.clock()
        account.roll_over(self._limiter.now())
        self._used = used
        n = min(wanted, max(SLICE, used + SLICE - self._total))  # a prompt may be longer than estimated
        scarce = ""
        for name, period, limit in self._periods():
            if period.left(limit) < n:
                n, scarce = max(0, period.left(limit)), f"tokens_per_{name}"
        per_minute = self.limits.tokens_per_minute
        if per_minute is not None:
            left = self._ahead + max(0, self._share(self._least, per_minute) - account.tokens.taken(now))
            if left < n:
                n, scarce = left, "tokens_per_minute"
        if n == 0:
            self.limited_by = scarce
            return 0
        self._hold(n, now)
        return n

    def admit(self, prompt: int, *, has_answer: bool = False) -> None:
        """Reserve what the estimate of the prompt was short of."""
        self._used = 0
        short, now = prompt + has_answer - self._total, self._limiter.clock()
        if not self._has_token_limit or short <= 0:
            return
        self._account.roll_over(self._limiter.now())
        self._check_periods(short)
        if self.limits.tokens_per_minute is not None and short > self._ahead:
            self._left_of_minute(short - self._ahead, now)
        self._hold(short, now)

    def settle(self, tokens: int) -> None:
        """Count the tokens that were used."""
        if not self._slots:
            return
        account, now = self._account, self._limiter.clock()
        account.roll_over(self._limiter.now())
        tokens = max(tokens, self._used)  # a client that left early has not received all generated tokens
        spare = sum(amount for _, amount in self._slots) - tokens
        if spare < 0:
            account.tokens.change(self._slots[0][0], -spare, now)
        while spare > 0:
            slot, amount = self._slots.pop()
            account.tokens.change(slot, -min(spare, amount), now)
            spare -= amount
        for period in (account.day, account.month):
            period.held -= self._total
            period.taken += tokens
        self._slots, self._total, self._ahead = [], 0, 0

    def release(self) -> None:
        """End the request."""
        if self._is_running:
            self._is_running = False
            self._account.running -= 1

    def sibling(self) -> RateLimitTicket:
        """Return another ticket on the same account."""
        return _KeyTicket(self._limiter, self._key, self._account, is_background=self._is_background)

    def limit_status(self) -> Mapping[str, LimitStatus]:
        """Return the status of the limits of the last minute."""
        now, statuses = self._limiter.clock(), {}
        windows = (
            ("requests", self._account.requests, self.limits.requests_per_minute),
            ("tokens", self._account.tokens, self.limits.tokens_per_minute),
        )
        for name, window, limit in windows:
            if limit is not None:
                statuses[name] = LimitStatus(limit, max(0, limit - window.taken(now)), window.reset_s(now))
        return statuses

    @property
    def _has_token_limit(self) -> bool:
        limits = self.limits
        return (limits.tokens_per_minute, limits.tokens_per_day, limits.tokens_per_month) != (None, None, None)

    def _periods(self) -> Iterator[tuple[str, _Period, int]]:
        """Yield the day and the month, if they have a limit."""
        for name, period, limit in (
            ("day", self._account.day, self.limits.tokens_per_day),
            ("month", self._account.month, self.limits.tokens_per_month),
        ):
            if limit is not None:
                yield name, period, limit

    def _hold(self, n: int, now: float) -> None:
        """Reserve `n` more, first from what was reserved ahead."""
        account = self._account
        if n > self._ahead:
            self._slots.append((account.tokens.take(n - self._ahead, now), n - self._ahead))
        self._ahead = max(0, self._ahead - n)
        self._total += n
        account.day.held += n
        account.month.held += n

    def _share(self, tokens: int, limit: int) -> int:
        """Return the part of a limit that this may take: half for a background request, if it fits into half."""
        return limit // 2 if self._is_background and tokens <= limit // 2 else limit

    def _check_periods(self, n: int) -> None:
        """Raise QuotaExceeded if a period has fewer than `n` tokens left, RateLimited if the rest is only reserved."""
        for what, period, limit in self._periods():
            if period.taken + self._total + n > limit:
                note = " The prompt is longer than that limit leaves." if period.taken < limit else ""
                raise QuotaExceeded(
                    f"You exceeded your current quota: {self._name} may use {limit} tokens a {what} and has used "
                    f"{period.taken}.{note} It resets at the next {what} (UTC).",
                    retry_after_s=_left_s(what, datetime.fromtimestamp(self._limiter.now(), UTC)),
                )
            if period.left(limit) < n:
                raise RateLimited(
                    f"Rate limit reached for {self._name} on tokens per {what}: Limit {limit}, Used {period.taken}, "
                    f"Reserved {period.held} by running requests. Please try again when one of them has ended.",
                    retry_after_s=1.0,
                )

    def _left_of_minute(self, n: int, now: float) -> int:
        """Return how many tokens the last minute's limit leaves, at least `n`. Raises RateLimited, or QuotaExceeded."""
        window, per_minute = self._account.tokens, self.limits.tokens_per_minute or 0
        left = self._share(n, per_minute) - window.taken(now)
        if n > left:
            refused = self._too_many(n, self._share(n, per_minute), now)
            # A background request cannot be shortened by its caller: it fails once, instead of every minute.
            raise QuotaExceeded(refused.message) if self._is_background and n > per_minute else refused
        return left

    def _too_many(self, tokens: int, limit: int, now: float) -> RateLimited:
        window = self._account.tokens
        wait_s = window.wait_s(tokens, limit, now)
        usage = f"tokens per min (TPM): Limit {limit}, Used {window.taken(now)}, Requested {tokens}"
        if tokens > limit:
            return RateLimited(
                f"Request too large for {self._name} on {usage}. The input or output tokens must be reduced in order "
                "to run successfully.",
                retry_after_s=max(wait_s, MINUTE_S),
            )
        return RateLimited(
            f"Rate limit reached for {self._name} on {usage}. Please try again in {wait_s:.3f}s.",
            retry_after_s=wait_s,
        )


def _left_s(what: str, moment: datetime) -> float:
    """Return the seconds that are left of a day or a month in UTC."""
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    if what == "day":
        return 86_400.0 - (moment - midnight).total_seconds()
    first_day = midnight.replace(day=1)
    next_month = first_day.replace(year=first_day.year + first_day.month // 12, month=first_day.month % 12 + 1)
    return (next_month - moment).total_seconds()
