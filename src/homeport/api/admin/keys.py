"""`/admin/v1/keys`: an operator creates, lists, changes, revokes and rotates keys.

A secret is shown only once, in the answer. Knows nothing of how keys are stored.
"""

import asyncio
from collections.abc import Iterable

import msgspec
from msgspec import UNSET
from starlette.requests import Request
from starlette.responses import Response

from homeport.api.admin.convert import DAY_S
from homeport.api.admin.render import KeyObject, KeyUsage, render_key, render_key_usage
from homeport.api.admin.usage import sum_usage
from homeport.api.json_response import JsonResponse
from homeport.api.paging import render_list
from homeport.api.request_body import read_json
from homeport.api.services import services
from homeport.domain.errors import Unavailable
from homeport.domain.keys import IssuedKey, Key, KeyChanges, NewKey
from homeport.domain.ports.store import KeyRepository
from homeport.domain.usage import UsageQuery


async def list_keys(request: Request) -> Response:
    """List all keys with their limits and what they have used today, including those that are no longer valid."""
    return render_list(await _render(request, *await asyncio.to_thread(_key_repository(request).list_all)))


async def create(request: Request) -> Response:
    """Create a key. Aliases among its models become the models they stand for. Raises InvalidRequest, ModelNotFound."""
    new_key = await read_json(request, NewKey)
    new_key = msgspec.structs.replace(new_key, models=_real_names(request, new_key.models))
    return await _respond_issued(request, await asyncio.to_thread(_key_repository(request).create, new_key))


async def retrieve(request: Request) -> Response:
    """Describe a key. Raises NotFound."""
    key = await asyncio.to_thread(_key_repository(request).get, request.path_params["key_id"])
    return await _respond(request, key)


async def update(request: Request) -> Response:
    """Change a key: its name, models, limits or expiry. Raises NotFound, ModelNotFound, or InvalidRequest."""
    changes = await read_json(request, KeyChanges)
    if changes.models is not UNSET:
        changes = msgspec.structs.replace(changes, models=_real_names(request, changes.models))
    key = await asyncio.to_thread(_key_repository(request).update, request.path_params["key_id"], changes)
    await _refresh_cache(request)
    return await _respond(request, key)


async def revoke(request: Request) -> Response:
    """Revoke a key. Raises NotFound."""
    key = await asyncio.to_thread(_key_repository(request).revoke, request.path_params["key_id"])
    await _refresh_cache(request)
    return await _respond(request, key)


async def rotate(request: Request) -> Response:
    """Give a key a new secret, which replaces the old one. Raises NotFound, or InvalidRequest."""
    issued = await asyncio.to_thread(_key_repository(request).rotate, request.path_params["key_id"])
    return await _respond_issued(request, issued)


async def _respond_issued(request: Request, issued: IssuedKey) -> Response:
    await _refresh_cache(request)
    return await _respond(request, issued.key, issued.secret)


async def _respond(request: Request, key: Key, secret: str | None = None) -> Response:
    [rendered] = await _render(request, key)
    rendered.secret = UNSET if secret is None else secret
    return JsonResponse(rendered)


async def _render(request: Request, *keys: Key) -> list[KeyObject]:
    """Render keys with what they have used today."""
    now = services(request).now()
    usage = {key.id: None if services(request).usage is None else KeyUsage() for key in keys}
    if services(request).usage is not None:
        # Of many keys all are summed: a query may not have a value for each of them.
        some = tuple(usage) if len(usage) == 1 else ()
        today = UsageQuery(since=int(now) // DAY_S * DAY_S, by=("key",), keys=some)
        usage |= {total.group["key"]: render_key_usage(total) for total in await sum_usage(request, today)}
    return [render_key(key, now, usage[key.id]) for key in keys]


def _real_names(request: Request, models: Iterable[str]) -> tuple[str, ...]:
    registry = services(request).registry
    return tuple(dict.fromkeys(registry.resolve(name, "").served_model.facts.name for name in models))


async def _refresh_cache(request: Request) -> None:
    """Refresh this server's key cache now; other processes poll."""
    key_cache = services(request).access.key_cache
    if key_cache is not None:
        await key_cache.refresh()


def _key_repository(request: Request) -> KeyRepository:
    keys = services(request).keys
    if keys is None:
        raise Unavailable("This server does not store keys.")
    return keys
