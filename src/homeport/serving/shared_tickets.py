"""The ticket of a request whose limits several gateways share: its methods wait for a transaction.

Without a limit they wait for nothing.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from homeport.serving.key_ticket import KeyTicket, status_of
from homeport.serving.limit_account import Account
from homeport.serving.rate_limit_ticket import LimitStatus
from homeport.serving.request_tickets import RequestTicket


class Transactions(Protocol):
    """What a ticket needs of the limiter."""

    def ask(self, ticket: KeyTicket, act: Callable[[], Any]) -> Awaitable[Any]:
        """Have a method of the ticket called on its account in the next transaction."""
        ...

    async def wait_for(
        self, ticket: KeyTicket, act: Callable[[], Any], undo: Callable[[], object] | None = None
    ) -> Any:
        """Have a method of the ticket called, and wait for its result; `undo`: if nobody waits any more."""
        ...

    def count_later(self, key_id: str, tokens: int) -> None:
        """Count tokens of a key without limits."""
        ...

    def latest(self, key_id: str) -> tuple[Account, float]:
        """Return an account as it was last seen, and the time now."""
        ...


class SharedTicket(RequestTicket):
    """The ticket of a request with a key. `ticket` has the policy and is used in transactions alone."""

    def __init__(self, transactions: Transactions, ticket: KeyTicket) -> None:
        self._transactions = transactions
        self._ticket = ticket
        self.limits = ticket.limits
        self._limits_requests = ticket.limits_requests
        self._limits_tokens = ticket.limits_tokens
        self._is_acquired = False
        self._is_reserved = False

    @property
    def limited_by(self) -> str:
        """The limit that ended its answer."""
        return self._ticket.limited_by

    async def acquire(self) -> None:
        """Start the request."""
        if self._limits_requests:
            await self._transactions.wait_for(self._ticket, self._ticket.acquire, self._ticket.release)
            self._is_acquired = True

    async def reserve(self, prompt: int, answer: int | None = 0) -> int | None:
        """Reserve tokens."""
        self._is_reserved = True
        if not self._limits_tokens:
            return None
        ticket = self._ticket
        granted: int | None = await self._transactions.wait_for(
            ticket, lambda: ticket.reserve(prompt, answer), lambda: ticket.settle(0)
        )
        return granted

    def more(self, used: int, wanted: int) -> int | Awaitable[int]:
        """Reserve another slice."""
        if not self._limits_tokens:
            return wanted
        return self._transactions.ask(self._ticket, lambda: self._ticket.more(used, wanted))

    async def admit(self, prompt: int, *, has_answer: bool = False) -> None:
        """Reserve what the estimate of the prompt was short of."""
        ticket = self._ticket
        if self._limits_tokens and ticket.is_short_of(prompt + has_answer):
            await self._transactions.wait_for(ticket, lambda: ticket.admit(prompt, has_answer=has_answer))

    def settle(self, tokens: int) -> None:
        """Count the tokens that were used."""
        if not self._is_reserved:
            return
        self._is_reserved = False
        if self._limits_tokens:
            self._transactions.ask(self._ticket, lambda: self._ticket.settle(tokens))
        else:
            self._transactions.count_later(self._ticket.key.id, tokens)

    def release(self) -> None:
        """End the request."""
        if self._is_acquired:
            self._is_acquired = False
            self._transactions.ask(self._ticket, self._ticket.release)

    def sibling(self) -> RequestTicket:
        """Return another ticket on the same account."""
        return SharedTicket(self._transactions, self._ticket.sibling())

    def limit_status(self) -> Mapping[str, LimitStatus]:
        """Return the status of the limits of the last minute, as this gateway last saw them."""
        account, now = self._transactions.latest(self._ticket.key.id)
        return status_of(account, self.limits, now)
