"""Projects and keys: who may use which models, and how much. Knows nothing of where they are stored.

A project owns everything; a key is one of its credentials, so losing or rotating a key orphans nothing.
"""

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

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


class LimitChanges(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Changes to the limits of a key, by the names of `KeyLimits`; None removes a limit, what is not given stays."""

    requests_per_minute: int | UnsetType | None = UNSET
    tokens_per_minute: int | UnsetType | None = UNSET
    tokens_per_day: int | UnsetType | None = UNSET
    tokens_per_month: int | UnsetType | None = UNSET
    concurrent_requests: int | UnsetType | None = UNSET
    storage_bytes: int | UnsetType | None = UNSET

    def apply(self, limits: KeyLimits) -> KeyLimits:
        """Return the changed limits."""
        return msgspec.structs.replace(limits, **_given(self))


class KeyChanges(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Changes to a key; what is not given stays. `models` may be aliases and replace all; empty: all models.

    `expires_in_s` counts from now; None: the key does not expire. Its project never changes.
    """

    name: str | UnsetType = UNSET
    models: tuple[str, ...] | UnsetType = UNSET
    limits: LimitChanges = LimitChanges()
    expires_in_s: int | UnsetType | None = UNSET

    def apply(self, key: Key, now: int) -> Key:
        """Return the changed key, which is not checked. `now`: seconds since 1970."""
        given = _given(self)
        given["limits"] = self.limits.apply(key.limits)
        if "expires_in_s" in given:
            expires_in_s = given.pop("expires_in_s")
            given["expires_at"] = None if expires_in_s is None else now + expires_in_s
        return msgspec.structs.replace(key, **given)


def _given(changes: LimitChanges | KeyChanges) -> dict[str, Any]:
    return {name: value for name, value in msgspec.structs.asdict(changes).items() if value is not UNSET}


class IssuedKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key that was just created or rotated, with its secret, which is shown only now."""

    key: Key
    secret: str
