"""`POST /v1/audio/speech`: text to speech, sent while the rest of it is synthesized."""

from starlette.requests import Request
from starlette.responses import Response

from homeport.api.request_body import read_json
from homeport.api.request_runner import resolve, run
from homeport.api.speech.convert import to_request
from homeport.api.speech.render import speech_writer
from homeport.api.speech.schema import SpeechBody


async def create(request: Request) -> Response:
    """Speak a text."""
    body = await read_json(request, SpeechBody)
    resolved = resolve(request, body.model, "speech")
    engine_request = to_request(body)
    return await run(request, resolved, engine_request, speech_writer(body, engine_request), endpoint="speech")
