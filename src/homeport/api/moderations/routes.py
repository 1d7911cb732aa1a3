"""`POST /v1/moderations`: which texts and images are harmful."""

import asyncio

from starlette.requests import Request
from starlette.responses import Response

from homeport.api.forms import spool_folder
from homeport.api.moderations.convert import to_request
from homeport.api.moderations.render import ModerationWriter
from homeport.api.moderations.schema import DEFAULT_MODEL, ModerationBody
from homeport.api.request_body import read_json
from homeport.api.request_runner import resolve, run


async def create(request: Request) -> Response:
    """Judge each input."""
    body = await read_json(request, ModerationBody)
    resolved = resolve(request, body.model or DEFAULT_MODEL, "moderations")
    async with spool_folder(request) as folder:
        engine_request = await asyncio.to_thread(to_request, body, resolved, folder)
        return await run(request, resolved, engine_request, ModerationWriter(), endpoint="moderations")
