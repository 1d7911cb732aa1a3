"""`/admin/v1/self`: who the caller is, and what it may do. It answers every key that is valid here, and no other.

A page shows by it only what a key may do. Knows nothing of pages.
"""

from collections.abc import Mapping, Sequence

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from homeport.api.json_response import JsonResponse
from homeport.api.request_context import context_of
from homeport.api.services import caller, services
from homeport.domain.keys import Key, KeyLimits
from homeport.serving.rate_limits import RateLimitTicket, TokensUsed

CALL, ADMIN = "call", "admin"


class OwnKeyObject(msgspec.Struct, kw_only=True):
    """The stored key of a caller, without its secret. `tokens_used`: on this day and in this month, in UTC."""

    id: str
    name: str
    hint: str
    created_at: int
    expires_at: int | None
    limits: KeyLimits
    tokens_used: Mapping[str, int]


class RateObject(msgspec.Struct, kw_only=True):
    """A limit of the last minute: its size, what remains, and the time until all of it is available again."""

    limit: int
    remaining: int
    reset_s: float


class SelfObject(msgspec.Struct, kw_only=True):
    """The caller. `permissions`: `call` for the API, `admin` for `/admin` and the usage of all.

    `project`: null for an admin key, which belongs to none. `hint`: its key, masked. `key`: null for keys that are not
    stored. `models`: the models that it may use, null for all. `requires_key`: whether this server requires one.
    `features`: the parts that this server has.
    """

    object: str = "self"
    permissions: list[str]
    requires_key: bool
    project: str | None
    hint: str | None
    key: OwnKeyObject | None
    models: Sequence[str] | None
    rates: Mapping[str, RateObject]
    features: list[str]
    version: str


async def describe(request: Request) -> Response:
    """Describe the caller."""
    found = services(request)
    is_caller, is_admin = found.access.is_caller(request.headers), found.access.is_admin(request.headers)
    key = caller(request).stored_key
    parts = {"keys": found.keys, "usage": found.usage, "fine_tuning": found.fine_tuning, "files": found.files}
    return JsonResponse(
        SelfObject(
            permissions=[*([CALL] if is_caller else []), *([ADMIN] if is_admin else [])],
            requires_key=not found.access.is_keyless,
            project=caller(request).project if is_caller else None,
            hint=caller(request).key,
            key=None if key is None else _render_key(key, found.rate_limiter.tokens_used(key.id)),
            models=key.models or None if key is not None else None,
            rates=_render_rates(context_of(request.scope).rate_ticket),
            features=[name for name, part in parts.items() if part is not None],
            version=found.version,
        )
    )


def _render_key(key: Key, used: TokensUsed) -> OwnKeyObject:
    return OwnKeyObject(
        id=key.id,
        name=key.name,
        hint=key.hint,
        created_at=key.created_at,
        expires_at=key.expires_at,
        limits=key.limits,
        tokens_used=used._asdict(),
    )


def _render_rates(ticket: RateLimitTicket) -> Mapping[str, RateObject]:
    return {name: RateObject(**status._asdict()) for name, status in ticket.limit_status().items()}
