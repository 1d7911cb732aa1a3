"""The account of one key: what it used in the last minute, this day and this month, and what is reserved and runs now.

Knows nothing of limits, nor of where accounts are stored.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime

from homeport.serving.sliding_window import SlidingWindow

_DAY_S = 86_400


@dataclass
class Period:
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
class Account:
    """The account of one key."""

    requests: SlidingWindow = field(default_factory=SlidingWindow)
    tokens: SlidingWindow = field(default_factory=SlidingWindow)
    day: Period = field(default_factory=Period)
    month: Period = field(default_factory=Period)
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

    def count(self, tokens: int, clock: float, now: float) -> None:
        """Count tokens of requests that have no ticket here."""
        self.roll_over(now)
        self.tokens.take(tokens, clock)
        self.day.taken += tokens
        self.month.taken += tokens
