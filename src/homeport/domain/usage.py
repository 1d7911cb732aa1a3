"""Usage: one record for each request to a model, and sums of them. Never any content.

Knows nothing of where it is stored.
"""

import msgspec

GROUPS = ("day", "project", "key", "user", "model", "endpoint")
"""The values by which usage can be grouped. Days are in UTC."""


class UsageRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One request: its caller, model, end time, outcome and cost. Fields are empty where nothing applies.

    `at`: whole seconds since 1970. `model` is the real name. `status`: `ok`, `cancelled`, or the code of an error.
    `amount`: characters of a text to be spoken, seconds of a recording or of music. `first_ms`: time to the first
    token. `is_batch`: it was a line of a batch.
    """

    at: int
    request: str
    project: str
    model: str
    endpoint: str
    key: str = ""
    user: str = ""
    status: str = "ok"
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    amount: float = 0.0
    first_ms: float | None = None
    whole_ms: float = 0.0
    is_batch: bool = False


class UsageQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which usage to sum: from `since` to before `until`, filtered by each list that is not empty.

    `width_s`: the length of the time buckets; None: one for all. `by`: any of `GROUPS` except `day`; `batch` separates
    batches (`yes`) from other requests (`no`). `is_batch`: only the one or the other. `limit`: the largest number of
    sums (None: all), after the first `offset`.
    """

    since: int = 0
    until: int | None = None
    width_s: int | None = None
    by: tuple[str, ...] = ()
    projects: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    endpoints: tuple[str, ...] = ()
    is_batch: bool | None = None
    limit: int | None = None
    offset: int = 0


class UsageTotal(msgspec.Struct, frozen=True, kw_only=True):
    """The sum over some requests. `begins`: start of the time bucket. `group`: their shared value of each `by`."""

    begins: int = 0
    group: dict[str, str] = {}
    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    amount: float = 0.0
