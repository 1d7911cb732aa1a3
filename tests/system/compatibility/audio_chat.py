"""For every field of chats that is about audio: a value that changes the answer, and the change to check."""

import base64
from collections.abc import Mapping
from typing import Any

from tests.engines.sniffing import sniff
from tests.system.compatibility.audio import recording
from tests.system.compatibility.field_trials import Effect, EndpointTrial

_SPOKEN: dict[str, Any] = {"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "wav"}}


def _audio(trial: EndpointTrial, **changed: Any) -> dict[str, Any]:
    """Return the audio of a spoken answer."""
    audio: dict[str, Any] = trial.ask(**{**_SPOKEN, **changed})["choices"][0]["message"]["audio"]
    return audio


def _modalities(trial: EndpointTrial) -> None:
    assert "audio" not in trial.ask(modalities=["text"])["choices"][0]["message"]
    audio = _audio(trial)
    assert sniff(base64.b64decode(audio["data"])) == "wav"
    assert audio["transcript"] == trial.ask()["choices"][0]["message"]["content"]


def _voice(trial: EndpointTrial) -> None:
    assert _audio(trial)["data"] != _audio(trial, audio={"voice": "onyx", "format": "wav"})["data"]


def _format(trial: EndpointTrial) -> None:
    assert sniff(base64.b64decode(_audio(trial, audio={"voice": "alloy", "format": "mp3"})["data"])) == "mp3"


def _audio_input(trial: EndpointTrial) -> None:
    data = base64.b64encode(recording("english")).decode()
    part = {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}}
    messages = [{"role": "user", "content": [part]}]
    assert trial.raw(messages=messages).error["param"] == "messages"
    usage = trial.ask(messages=messages, audio_input="transcribe")["usage"]
    assert usage["prompt_tokens_details"]["audio_tokens"] > 100


def _earlier_audio(trial: EndpointTrial) -> None:
    audio = _audio(trial)
    question = {"role": "user", "content": "And then?"}
    counts = [
        trial.ask(messages=[question, {"role": "assistant", **earlier}, question])["usage"]["prompt_tokens"]
        for earlier in ({"audio": {"id": audio["id"]}}, {"content": audio["transcript"]}, {"content": ""})
    ]
    assert counts[0] == counts[1] > counts[2]


CHAT: Mapping[str, Effect] = {
    "messages.audio": _earlier_audio,
    "modalities": _modalities,
    "audio": _modalities,
    "audio.voice": _voice,
    "audio.format": _format,
    "audio_input": _audio_input,
}
