"""For every served field of the speech endpoint: a value that changes the audio, and the change to check."""

from collections.abc import Mapping

from tests.engines.speech.sniffing import sniff
from tests.system.compatibility.field_trials import Effect, EndpointTrial, Probes

MODEL = "kokoro-82m"
RATE = 24_000


def _sound(desk: EndpointTrial, **changed: object) -> bytes:
    answer = desk.raw(**changed)
    assert answer.status == 200, answer.body
    return answer.body


def _model(desk: EndpointTrial) -> None:
    answer = desk.raw(model="tts-1")
    assert answer.headers["x-homeport-model"] == MODEL
    assert answer.body == _sound(desk)
    assert desk.raw(model="nobody").status == 404


def _input(desk: EndpointTrial) -> None:
    longer = desk.raw(input="Hello, hello, my dear old friend 😀.")
    assert len(longer.body) > len(_sound(desk)) * 1.5
    assert longer.headers["x-homeport-skipped"] == "%F0%9F%98%80"
    assert desk.raw(input="Привет").status == 400


def _voice(desk: EndpointTrial) -> None:
    assert _sound(desk, voice="onyx") != _sound(desk)
    assert desk.raw(voice={"id": "voice_1"}).error["param"] == "voice"


def _response_format(desk: EndpointTrial) -> None:
    formats = ("mp3", "opus", "aac", "flac", "wav")
    assert [sniff(_sound(desk, response_format=each)) for each in formats] == list(formats)
    assert sniff(_sound(desk, response_format=...)) == "mp3"


def _speed(desk: EndpointTrial) -> None:
    assert len(_sound(desk, speed=3)) < len(_sound(desk)) / 2


def _stream_format(desk: EndpointTrial) -> None:
    answer = desk.raw(stream_format="sse")
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert b"speech.audio.done" in answer.body


_EFFECTS: Mapping[str, Effect] = {
    "model": _model,
    "input": _input,
    "voice": _voice,
    "response_format": _response_format,
    "speed": _speed,
    "stream_format": _stream_format,
}

PROBES: Mapping[str, Probes] = {
    "speech": Probes(
        "/v1/audio/speech",
        {"model": MODEL, "input": "Hello.", "voice": "alloy", "response_format": "pcm"},
        _EFFECTS,
        refused={"instructions": {"instructions": "Whisper."}},
    )
}
