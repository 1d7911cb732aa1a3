"""The limits of a request as its handlers see them: awaited, since another machine may have the answer.

Knows nothing of how limits are counted.
"""

from collections.abc import Awaitable, Mapping
from typing import Protocol

from homeport.domain.keys import Key, KeyLimits
from homeport.serving.rate_limit_ticket import LimitStatus, RateLimitTicket, TokensUsed


class RequestTicket:
    """One request and its share of its key's limits. Without a key there are no limits.

    The methods are those of `RateLimitTicket`; they also raise Unavailable if the limits cannot be read.
    """

    limits = KeyLimits()

    @property
    def limited_by(self) -> str:
        """The limit that ended its answer, by its name in `KeyLimits`."""
        return ""

    async def acquire(self) -> None:
        """Start the request. Raises RateLimited; then it is not counted."""

    async def reserve(self, prompt: int, answer: int | None = 0) -> int | None:  # noqa: ARG002 - subclasses use them
        """Reserve tokens; return how many may be used before `more` is called; None: no limit. Raises RateLimited."""
        return None

    def more(self, used: int, wanted: int) -> int | Awaitable[int]:  # noqa: ARG002 - subclasses use both
        """Reserve another slice; 0: none is left."""
        return wanted

    async def admit(self, prompt: int, *, has_answer: bool = False) -> None:
        """Reserve what the estimate of the prompt was short of. Raises RateLimited."""

    def settle(self, tokens: int) -> None:
        """Count the tokens that were used, instead of the reserved ones."""

    def release(self) -> None:
        """End the request. Safe to call twice, and without `acquire`."""

    def sibling(self) -> "RequestTicket":
        """Return a ticket for engine requests that run at the same time as those of this one."""
        return self

    def limit_status(self) -> Mapping[str, LimitStatus]:
        """Return the latest status of `requests` and `tokens`, if they have a limit."""
        return {}


NO_LIMITS = RequestTicket()
"""The ticket of requests without a key of their own."""


class RequestLimiter(Protocol):
    """The limits of all keys."""

    def request_ticket(self, key: Key, *, is_background: bool = False) -> RequestTicket:
        """Return the ticket of a request with this key, not yet acquired.

        A background request counts neither as one of a minute's requests nor as a concurrent one, and leaves half of a
        minute's tokens to others.
        """
        ...

    async def read_tokens_used(self, key_id: str) -> TokensUsed:
        """Return what a key has used, without what running requests have reserved. Raises Unavailable."""
        ...


class LocalTicket(RequestTicket):
    """The ticket of a request whose limits are in this process: it never waits."""

    def __init__(self, ticket: RateLimitTicket) -> None:
        self._ticket = ticket
        self.limits = ticket.limits

    @property
    def limited_by(self) -> str:
        """The limit that ended its answer."""
        return self._ticket.limited_by

    async def acquire(self) -> None:
        """Start the request."""
        self._ticket.acquire()

    async def reserve(self, prompt: int, answer: int | None = 0) -> int | None:
        """Reserve tokens."""
        return self._ticket.reserve(prompt, answer)

    def more(self, used: int, wanted: int) -> int:
        """Reserve another slice."""
        return self._ticket.more(used, wanted)

    async def admit(self, prompt: int, *, has_answer: bool = False) -> None:
        """Reserve what the estimate of the prompt was short of."""
        self._ticket.admit(prompt, has_answer=has_answer)

    def settle(self, tokens: int) -> None:
        """Count the tokens that were used."""
        self._ticket.settle(tokens)

    def release(self) -> None:
        """End the request."""
        self._ticket.release()

    def sibling(self) -> RequestTicket:
        """Return another ticket on the same account."""
        return LocalTicket(self._ticket.sibling())

    def limit_status(self) -> Mapping[str, LimitStatus]:
        """Return the status of the limits of the last minute."""
        return self._ticket.limit_status()
