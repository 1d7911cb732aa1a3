"""`POST /v1/audio/music` and `/v1/sound-generation`: music of words, sent while the rest of it is composed."""

from starlette.requests import Request
from starlette.responses import Response

from homeport.api.music.convert import ConvertedMusic, sound_generation_to_request, to_request
from homeport.api.music.render import music_writer
from homeport.api.music.schema import MusicBody, SoundGenerationBody
from homeport.api.request_body import read_json
from homeport.api.request_context import context_of
from homeport.api.request_runner import resolve, run
from homeport.api.services import services
from homeport.domain.kinds import KINDS, MUSIC
from homeport.domain.models import ResolvedModel

DEFAULT_MODEL = KINDS[MUSIC].starters[0]
_ENDPOINT = "music"


async def create(request: Request) -> Response:
    """Compose music."""
    body = await read_json(request, MusicBody)
    resolved = resolve(request, body.model or DEFAULT_MODEL, "music")
    music = to_request(body, max_s=services(request).limits.music_s, is_batch=context_of(request.scope).is_background)
    return await _run(request, resolved, music)


async def create_sound(request: Request) -> Response:
    """Compose music from a body with LocalAI's names."""
    body = await read_json(request, SoundGenerationBody)
    resolved = resolve(request, body.model_id or body.model or DEFAULT_MODEL, "music")
    return await _run(request, resolved, sound_generation_to_request(body, max_s=services(request).limits.music_s))


async def _run(request: Request, resolved: ResolvedModel, music: ConvertedMusic) -> Response:
    return await run(request, resolved, music.request, music_writer(music), endpoint=_ENDPOINT)
