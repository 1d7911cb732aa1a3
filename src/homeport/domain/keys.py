"""Projects and keys: who may use which models, and how much. Knows nothing of where they are stored.

A project owns everything; a key is one of its credentials, so losing or rotating a key orphans nothing.
"""

import msgspec

LOCAL_PROJECT = "local"
"""The project of callers without a key, and of keys that name no project."""


class KeyLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The limits of a key; None: no limit. Minutes are sliding, days and months are calendar periods in UTC.

    `storage_bytes`: how much its project may store, instead of the server's own limit; the lowest limit of a project's
    keys counts.
    """

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    tokens_per_day: int | None = None
    tokens_per_month: int | None = None
    concurrent_requests: int | None = None
    storage_bytes: int | None = None


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """A key without its secret. `models` are real names; empty: all models. Times are seconds since 1970."""

    id: str
    project: str
    name: str
    hint: str
    created_at: int
    models: tuple[str, ...] = ()
    limits: KeyLimits = KeyLimits()
    rotated_at: int | None = None
    expires_at: int | None = None
    revoked_at: int | None = None

    def is_valid(self, now: float) -> bool:
        """Whether the key is neither revoked nor expired at this time."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)

    def may_use(self, model: str) -> bool:
        """Whether the key permits this model, by real name."""
        return not self.models or model in self.models


class NewKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A key to be created. `models` may be aliases; `expires_in_s` counts from now."""

    name: str
    project: str = LOCAL_PROJECT
    models: tuple[str, ...] = ()
    limits: KeyLimits = KeyLimits()
    expires_in_s: int | None = None


class IssuedKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key that was just created or rotated, with its secret, which is shown only now."""

    key: Key
    secret: str
