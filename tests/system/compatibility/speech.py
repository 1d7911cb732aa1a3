"""For every served field of the speech endpoint: a value that changes the audio, and the change to check."""

from collections.abc import Mapping

from tests.engines.sniffing import sniff
from tests.system.compatibility.field_trials import Effect, EndpointTrial, Probes

MODEL = "kokoro-82m"
RATE = 24_000


def _sound(trial: EndpointTrial, **changed: object) -> bytes:
    answer = trial.raw(**changed)
    assert answer.status == 200, answer.body
    return answer.body


def _model(trial: EndpointTrial) -> None:
    answer = trial.raw(model="tts-1")
    assert answer.headers["x-homeport-model"] == MODEL
    assert answer.body == _sound(trial)
    assert trial.raw(model="nobody").status == 404


def _input(trial: EndpointTrial) -> None:
    longer = trial.raw(input="Hello, hello, my dear old friend 😀.")
    assert len(longer.body) > len(_sound(trial)) * 1.5
    assert longer.headers["x-homeport-skipped"] == "%F0%9F%98%80"
    assert trial.raw(input="Привет").status == 400


def _voice(trial: EndpointTrial) -> None:
    assert _sound(trial, voice="onyx") != _sound(trial)
    assert trial.raw(voice={"id": "voice_1"}).error["param"] == "voice"


def _response_format(trial: EndpointTrial) -> None:
    formats = ("mp3", "opus", "aac", "flac", "wav")
    assert [sniff(_sound(trial, response_format=each)) for each in formats] == list(formats)
    assert sniff(_sound(trial, response_format=...)) == "mp3"


def _speed(trial: EndpointTrial) -> None:
    assert len(_sound(trial, speed=3)) < len(_sound(trial)) / 2


def _stream_format(trial: EndpointTrial) -> None:
    answer = trial.raw(stream_format="sse")
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
