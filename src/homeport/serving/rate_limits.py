"""How much of its limits each key has used, on a server whose limits are its own: in memory, one account per key.

Knows nothing of HTTP, nor where limits come from. `key_ticket` has the policy; `shared_limits` is for several gateways.
"""

import time
from collections.abc import Callable

from homeport.domain.keys import Key
from homeport.serving.key_ticket import SLICE as SLICE
from homeport.serving.key_ticket import KeyTicket
from homeport.serving.limit_account import Account
from homeport.serving.rate_limit_ticket import UNLIMITED as UNLIMITED
from homeport.serving.rate_limit_ticket import LimitStatus as LimitStatus
from homeport.serving.rate_limit_ticket import RateLimitTicket as RateLimitTicket
from homeport.serving.rate_limit_ticket import TokensUsed
from homeport.serving.request_tickets import LocalTicket, RequestTicket


class RateLimiter:
    """The accounts of all keys. `clock` runs in seconds, `now` is the wall clock."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, now: Callable[[], float] = time.time) -> None:
        self.clock = clock
        self.now = now
        self._accounts: dict[str, Account] = {}

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
        return KeyTicket(self, key, self._account(key.id), is_background=is_background)

    def request_ticket(self, key: Key, *, is_background: bool = False) -> RequestTicket:
        """Return the ticket of a request as its handlers use it."""
        return LocalTicket(self.ticket(key, is_background=is_background))

    async def read_tokens_used(self, key_id: str) -> TokensUsed:
        """Return what a key has used."""
        return self.tokens_used(key_id)

    def _account(self, key_id: str) -> Account:
        account = self._accounts.get(key_id)
        if account is None:
            account = self._accounts[key_id] = Account()
        return account
