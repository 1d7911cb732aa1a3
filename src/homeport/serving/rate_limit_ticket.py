"""What a request asks of its key's limits: acquired at its start, tokens reserved and settled, released at its end.

The ticket of this module limits nothing; `key_ticket` is that of a key. Knows nothing of how limits are counted.
"""

from collections.abc import Mapping
from typing import NamedTuple

from homeport.domain.keys import KeyLimits


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
