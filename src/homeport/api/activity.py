"""What each model and the server have done since the start, as plain counts that only grow.

`metrics` adds to them on every request, also while it runs; `metric_series` reads their growth. Knows neither.
"""

from collections import Counter

from homeport.api.durations import DurationCounts

_OWN_PATHS = ("/health", "/metrics", "/admin", "/page")
"""Paths that monitoring and the page ask for. They are not counted, because they would hide what callers do."""


class ModelActivity:
    """The counts of one model. Tokens are counted when the prompt is admitted and while the answer is generated.

    `outcomes`: ended requests by `ok`, `cancelled` and `failed`; `first_token`, `token_interval`: times of requests
    whose callers wait.
    """

    __slots__ = ("first_token", "generated_tokens", "outcomes", "prompt_tokens", "token_interval")

    def __init__(self, token_interval: DurationCounts) -> None:
        self.prompt_tokens = 0
        self.generated_tokens = 0
        self.outcomes: Counter[str] = Counter()
        self.first_token = DurationCounts()
        self.token_interval = token_interval

    def count_outcome(self, status: str) -> None:
        """Count a request that ended with this status, as usage records it."""
        self.outcomes[status if status in ("ok", "cancelled") else "failed"] += 1


class Activity:
    """The counts of all models by their own names, and of HTTP responses by class (`2xx`)."""

    def __init__(self) -> None:
        self.models: dict[str, ModelActivity] = {}
        self.responses: Counter[str] = Counter()

    def count_response(self, route: str, status: int) -> None:
        """Count a response, unless it is one of monitoring. `route`: the template of its path."""
        if route != "/" and not route.startswith(_OWN_PATHS):
            self.responses[f"{status // 100}xx"] += 1
