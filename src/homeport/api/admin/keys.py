"""`/admin/v1/keys`: keys made, listed, revoked and rotated by an operator. A secret is told once, in the answer.

Knows nothing of how keys are kept.
"""

import asyncio

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from homeport.api.json_response import JsonResponse
from homeport.api.paging import render_list
from homeport.api.request_body import read_json
from homeport.api.services import services
from homeport.domain.errors import Unavailable
from homeport.domain.keys import IssuedKey, Key, NewKey
from homeport.domain.ports.store import KeyRepository


async def list_keys(request: Request) -> Response:
    """List every key, also those that no longer open anything."""
    found = await asyncio.to_thread(_key_repository(request).list_all)
    return render_list(map(_render_key, found))


async def create(request: Request) -> Response:
    """Make a key; aliases among its models stand for what they stand for now. Raises InvalidRequest, ModelNotFound."""
    wanted = await read_json(request, NewKey)
    registry = services(request).registry
    models = tuple(dict.fromkeys(registry.resolve(name, "").served_model.facts.name for name in wanted.models))
    wanted = msgspec.structs.replace(wanted, models=models)
    return await _render_issued(request, await asyncio.to_thread(_key_repository(request).create, wanted))


async def retrieve(request: Request) -> Response:
    """Describe one key. Raises Missing."""
    return JsonResponse(
        _render_key(await asyncio.to_thread(_key_repository(request).get, request.path_params["key_id"]))
    )


async def revoke(request: Request) -> Response:
    """Have a key open nothing any more. Raises Missing."""
    key = await asyncio.to_thread(_key_repository(request).revoke, request.path_params["key_id"])
    await _refresh_cache(request)
    return JsonResponse(_render_key(key))


async def rotate(request: Request) -> Response:
    """Give a key a new secret; the old one opens nothing any more. Raises Missing, or InvalidRequest."""
    return await _render_issued(
        request, await asyncio.to_thread(_key_repository(request).rotate, request.path_params["key_id"])
    )


async def _render_issued(request: Request, issued: IssuedKey) -> Response:
    await _refresh_cache(request)
    return JsonResponse({**_render_key(issued.key), "secret": issued.secret})


async def _refresh_cache(request: Request) -> None:
    """Have this server know at once; others see it when they next look."""
    ring = services(request).access.key_cache
    if ring is not None:
        await ring.refresh()


def _render_key(key: Key) -> dict[str, object]:
    return {"object": "key", **msgspec.structs.asdict(key)}


def _key_repository(request: Request) -> KeyRepository:
    book = services(request).keys
    if book is None:
        raise Unavailable("This server keeps no keys.")
    return book
