"""`/admin/v1/keys`: an operator creates, lists, revokes and rotates keys. A secret is shown only once, in the answer.

Knows nothing of how keys are stored.
"""

import asyncio

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from homeport.api.admin.render import render_key
from homeport.api.json_response import JsonResponse
from homeport.api.paging import render_list
from homeport.api.request_body import read_json
from homeport.api.services import services
from homeport.domain.errors import Unavailable
from homeport.domain.keys import IssuedKey, NewKey
from homeport.domain.ports.store import KeyRepository


async def list_keys(request: Request) -> Response:
    """List all keys, including those that are no longer valid."""
    return render_list(map(render_key, await asyncio.to_thread(_key_repository(request).list_all)))


async def create(request: Request) -> Response:
    """Create a key. Aliases among its models become the models they stand for. Raises InvalidRequest, ModelNotFound."""
    new_key = await read_json(request, NewKey)
    registry = services(request).registry
    models = tuple(dict.fromkeys(registry.resolve(name, "").served_model.facts.name for name in new_key.models))
    new_key = msgspec.structs.replace(new_key, models=models)
    return await _respond_issued(request, await asyncio.to_thread(_key_repository(request).create, new_key))


async def retrieve(request: Request) -> Response:
    """Describe a key. Raises NotFound."""
    key = await asyncio.to_thread(_key_repository(request).get, request.path_params["key_id"])
    return JsonResponse(render_key(key))


async def revoke(request: Request) -> Response:
    """Revoke a key. Raises NotFound."""
    key = await asyncio.to_thread(_key_repository(request).revoke, request.path_params["key_id"])
    await _refresh_cache(request)
    return JsonResponse(render_key(key))


async def rotate(request: Request) -> Response:
    """Give a key a new secret, which replaces the old one. Raises NotFound, or InvalidRequest."""
    issued = await asyncio.to_thread(_key_repository(request).rotate, request.path_params["key_id"])
    return await _respond_issued(request, issued)


async def _respond_issued(request: Request, issued: IssuedKey) -> Response:
    await _refresh_cache(request)
    return JsonResponse(render_key(issued.key, issued.secret))


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
