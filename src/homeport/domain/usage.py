"""What was used: one record for each request that asked a model, and sums of them. Never what was said.

Knows nothing of where it is kept.
"""

import msgspec

GROUPS = ("day", "project", "key", "user", "model", "endpoint")
"""By what usage can be summed up. A day is one of UTC."""


class UsageRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One request: who asked what, when it ended, how, and what it cost. Empty where there is none.

    `at`: whole seconds since 1970. `model` is the real name. `status`: `ok`, `cancelled`, or the code of an error.
    `amount`: characters of a text to be spoken, seconds of a recording. `first_ms`: to the first token. `is_batch`: it
    was a line of a batch.
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
    """What is to be summed up: from `since` to before `until`, of these alone where any are named.

    `width_s`: the length of the spans of time that are told apart, None: one for all. `by`: of `GROUPS`, but for days;
    `batch` tells batches (`yes`) and others (`no`) apart. `is_batch`: of one of these alone.
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


class UsageTotal(msgspec.Struct, frozen=True, kw_only=True):
    """The sum over some requests. `begins`: start of the time span. `group`: their shared value of `UsageQuery.by`."""

    begins: int = 0
    group: dict[str, str] = {}
    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    amount: float = 0.0
