"""`POST /v1/moderations`: what is harmful in texts and pictures.

Knows nothing of models or thresholds: checks what can be checked without them, lays pictures down for the worker, and
passes the rest on. Pictures are not decoded here.
"""

import asyncio
import shutil
import uuid

from starlette.requests import Request
from starlette.responses import Response

from homeport.api import json_codec
from homeport.api.moderations.render import ModerationUsageCounter, render_moderation
from homeport.api.moderations.schema import DEFAULT, ModerationBody
from homeport.api.request_body import read_json
from homeport.api.runner import admit, respond_whole
from homeport.api.services import registry, services
from homeport.domain.events import ModerationVerdict
from homeport.domain.models import ResolvedModel
from homeport.domain.moderation import ModerationRequest

ENDPOINT = "moderations"


async def create(request: Request) -> Response:
    """Judge each input."""
    body = await read_json(request, ModerationBody)
    name = body.model or DEFAULT
    body.check(name)
    resolved = registry(request).resolve(name, ENDPOINT)
    folder = services(request).spool / uuid.uuid4().hex
    try:
        asked = await asyncio.to_thread(body.to_request, folder)
        return await respond_whole(request, resolved, _answer(request, resolved, asked))
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


async def _answer(request: Request, resolved: ResolvedModel, asked: ModerationRequest) -> bytes:
    verdicts: list[ModerationVerdict] = []
    async with admit(request, resolved, asked, ENDPOINT, ModerationUsageCounter) as under_way:
        async for batch in under_way:
            verdicts += [event for event in batch if isinstance(event, ModerationVerdict)]
    return json_codec.encode(render_moderation(resolved.requested_name, verdicts))
