"""Speech in process: engine requests, audio as bytes and as events, and refusals by field."""

import base64
import json
from typing import Any

import msgspec
import pytest

from homeport.api.application import build_application
from homeport.api.speech.render import MEDIA_TYPES
from homeport.domain.errors import EngineFailed, InvalidRequest
from homeport.domain.events import (
    Admitted,
    AudioChunk,
    Done,
    Usage,
)
from homeport.domain.speech import AUDIO_FORMATS, SpeechRequest
from tests.api.asgi import AsgiResponse, call
from tests.api.fakes import FakeRegistry, FakeServing, Script, installed, services

SPOKEN: Script = [[Admitted(9)], [AudioChunk(b"abc")], [AudioChunk(b"de"), AudioChunk(b"f")], [Done(Usage(9, 40))]]


async def post(serving: FakeServing | None = None, **changes: Any) -> AsgiResponse:
    """Send the plain body with some fields changed; `...` omits a field."""
    body = {"model": "voice", "input": "Hello.", "voice": "alloy", **changes}
    registry = FakeRegistry([installed("voice", ("speech",)), installed("tiny")])
    app = build_application(services(serving or FakeServing(lambda _: SPOKEN), registry=registry))
    given = {key: value for key, value in body.items() if value is not ...}
    return await call(app, "POST", "/v1/audio/speech", json.dumps(given).encode())


async def sent_request(**changes: Any) -> SpeechRequest:
    """Return the engine request that a body becomes."""
    serving = FakeServing(lambda _: SPOKEN)
    assert (await post(serving, **changes)).status == 200
    ((_, request),) = serving.requests
    assert isinstance(request, SpeechRequest)
    return request


async def test_body_fields_reach_the_engine() -> None:
    """Text, voice, format and speed reach the engine; format and speed have OpenAI's defaults."""
    assert await sent_request() == SpeechRequest("Hello.", "alloy", "mp3", 1.0)
    request = await sent_request(
        voice="zf_xiaobei", response_format="opus", speed=2, instructions="", stream_format="audio"
    )
    assert request == SpeechRequest("Hello.", "zf_xiaobei", "opus", 2.0)
    assert len((await sent_request(input="ü" * 4096)).text) == 4096


@pytest.mark.parametrize("format", AUDIO_FORMATS)
async def test_audio_is_sent_as_it_arrives(format: str) -> None:
    """Each batch of audio is one send, with the format's content type and no length; a header names the model."""
    response = await post(response_format=format)
    assert response.headers["content-type"] == MEDIA_TYPES[msgspec.convert(format, Any)]
    assert response.headers["x-homeport-model"] == "voice"
    assert "content-length" not in response.headers
    assert "x-homeport-skipped" not in response.headers
    assert response.parts == [b"abc", b"def", b""]


async def test_events_carry_the_sound_and_then_the_usage() -> None:
    """`stream_format: sse` sends deltas in base64 and last `speech.audio.done` with the tokens."""
    response = await post(stream_format="sse")
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    *deltas, done = [json.loads(frame.removeprefix("data: ")) for frame in response.body.decode().split("\n\n")[:-1]]
    assert {delta["type"] for delta in deltas} == {"speech.audio.delta"}
    assert b"".join(base64.b64decode(delta["audio"]) for delta in deltas) == b"abcdef"
    usage = {"input_tokens": 9, "output_tokens": 40, "total_tokens": 49}
    assert done == {"type": "speech.audio.done", "usage": usage}


@pytest.mark.parametrize("stream_format", ["audio", "sse"])
async def test_what_is_not_spoken_is_named(stream_format: str) -> None:
    """A header lists the characters that no voice can read, percent-encoded."""
    serving = FakeServing(lambda _: [[Admitted(9, (6,), "😀д")], *SPOKEN[1:]])
    response = await post(serving, stream_format=stream_format)
    assert response.headers["x-homeport-skipped"] == "%F0%9F%98%80%D0%B4"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("input", ""),
        ("input", "  \n"),
        ("input", "x" * 4097),
        ("input", 7),
        ("voice", {"id": "voice_1234"}),
        ("voice", 5),
        ("instructions", "Whisper."),
        ("response_format", "ogg"),
        ("speed", 0.2),
        ("speed", 4.01),
        ("speed", "fast"),
        ("stream_format", "chunks"),
        ("model", "tiny"),
        ("model", ...),
        ("volume", 11),
    ],
)
async def test_bad_values_are_refused_by_name(field: str, value: object) -> None:
    """A value out of range, of another type or for an unsupported feature is a 400 that names its field."""
    serving = FakeServing(lambda _: SPOKEN)
    response = await post(serving, **{field: value})
    assert (response.status, response.error["param"]) == (400, field)
    assert not serving.requests


@pytest.mark.parametrize("field", ["input", "voice"])
async def test_fields_that_must_be_there_are_missed_by_name(field: str) -> None:
    """Without a text or a voice the error names the missing field."""
    response = await post(None, **{field: ...})
    assert response.status == 400
    assert field in response.error["message"]


async def test_what_the_engine_refuses_is_an_ordinary_error() -> None:
    """An unknown voice, which only the engine recognizes, is a 400 before any audio."""
    response = await post(FakeServing(lambda _: [InvalidRequest("No such voice.", param="voice")]))
    assert (response.status, response.error["param"]) == (400, "voice")


async def test_sound_that_breaks_off_is_never_ended_cleanly() -> None:
    """An error after the first bytes closes the connection, so the part is not taken for the whole."""
    serving = FakeServing(lambda _: [[Admitted(9)], [AudioChunk(b"abc")], EngineFailed("It broke.")])
    with pytest.raises(EngineFailed):
        await post(serving)
    assert serving.streams[0].closed.is_set()


async def test_an_error_in_an_event_stream_is_an_event() -> None:
    """In a stream of events the error is an event, and no `speech.audio.done` follows."""
    serving = FakeServing(lambda _: [[Admitted(9)], [AudioChunk(b"abc")], EngineFailed("It broke.")])
    response = await post(serving, stream_format="sse")
    assert b"It broke." in response.body
    assert b"speech.audio.done" not in response.body
