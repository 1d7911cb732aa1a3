"""Projects and keys: who may ask, for which models and for how much. Knows nothing of where they are kept.

Everything belongs to a project; a key is one credential of it, so that a lost or rotated key orphans nothing.
"""

import msgspec

LOCAL_PROJECT = "local"
"""The project of callers without a key, and of keys that name no other."""


class KeyLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much a key may ask for; None: no limit. Minutes slide, days and months are those of UTC.

    `storage_bytes`: what its project may keep, in place of the server's own limit; of several keys' the least counts.
    """

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    tokens_per_day: int | None = None
    tokens_per_month: int | None = None
    concurrent_requests: int | None = None
    storage_bytes: int | None = None


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a key; its secret is not. `models` are real names, none: all. Times in seconds since 1970."""

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
        """Whether it lets anybody in at this time."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)

    def may_use(self, model: str) -> bool:
        """Whether it opens this model, by real name."""
        return not self.models or model in self.models


class NewKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A key to be made. `models` may be aliases; `expires_in_s` counts from now."""

    name: str
    project: str = LOCAL_PROJECT
    models: tuple[str, ...] = ()
    limits: KeyLimits = KeyLimits()
    expires_in_s: int | None = None


class IssuedKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key just made or rotated, with its secret: the only time that it is told."""

    key: Key
    secret: str
