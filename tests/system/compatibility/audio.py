"""For every served field of the audio endpoints: a value that changes the answer, and the change to check."""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from tests.api.form_bodies import HEADERS, form
from tests.samples.audio_samples import (
    CHINESE,
    ENGLISH,
    encoded,
    spoken,
    tone,
)
from tests.system.compatibility.field_trials import Effect, EndpointTrial, Probes
from tests.system.server import HttpAnswer

MODEL = "whisper-base"


@cache
def recording(name: str) -> bytes:
    """Return one of three recordings, as WAV."""
    made = {"english": lambda: spoken(ENGLISH, "en"), "chinese": lambda: spoken(CHINESE, "zh"), "tone": lambda: tone(1)}
    return encoded(made[name]())


class AudioTrial(EndpointTrial):
    """Transcribes a recording. The field `file` holds a recording's name."""

    def send(self, body: dict[str, Any]) -> HttpAnswer:
        """Send the fields as a form; lists as `name[]`, mappings as `name[key]`."""
        fields: list[tuple[str, str]] = []
        files = []
        for name, value in body.items():
            if name == "file":
                files = [(name, recording(value))]
            elif isinstance(value, list):
                fields += [(f"{name}[]", str(each)) for each in value]
            elif isinstance(value, dict):
                fields += [(f"{name}[{key}]", str(each)) for key, each in value.items()]
            else:
                fields.append((name, str(value)))
        return self.server.call(
            "POST", self.probes.path, form(fields, files), {"Content-Type": HEADERS["content-type"]}
        )

    def text(self, **changed: Any) -> str:
        """Return the transcript."""
        return str(self.ask(**changed)["text"])


def _file(trial: AudioTrial) -> None:
    assert trial.text(file="tone") == ""
    assert trial.raw(file=...).error["param"] == "file"


def _model(trial: AudioTrial) -> None:
    answer = trial.raw(model="whisper-1", file="tone")
    assert answer.headers["x-homeport-model"] == MODEL
    assert trial.raw(model="nobody").status == 404


def _language(trial: AudioTrial) -> None:
    assert "天气" in trial.text(file="chinese", language="zh")
    assert "天氣" in trial.text(file="chinese", language="zh-hant")


def _languages(trial: AudioTrial) -> None:
    among = trial.ask(file="chinese", language=..., languages=["de", "en"], response_format="verbose_json")
    assert among["language"] in ("german", "english")


def _keywords(trial: AudioTrial) -> None:
    assert "Brydge" in trial.text(keywords=["Olde Brydge"])


def _prompt(trial: AudioTrial) -> None:
    assert "天氣" in trial.text(file="chinese", language="zh", prompt="以下是繁體字的句子，歡迎收聽。")


def _translation_prompt(trial: AudioTrial) -> None:
    assert trial.text(prompt="EVERYTHING IS WRITTEN IN CAPITAL LETTERS HERE. LIKE THIS.") != trial.text()


def _response_format(trial: AudioTrial) -> None:
    assert trial.raw(response_format="vtt").body.startswith(b"WEBVTT\n\n00:00:0")


def _temperature(trial: AudioTrial) -> None:
    segments = trial.ask(temperature=0.6, response_format="verbose_json")["segments"]
    assert {segment["temperature"] for segment in segments} == {0.6}


def _granularities(trial: AudioTrial) -> None:
    assert trial.ask(timestamp_granularities=["word"], response_format="verbose_json")["words"]


def _stream(trial: AudioTrial) -> None:
    answer = trial.raw(stream="true")
    assert answer.headers["content-type"].startswith("text/event-stream")
    *_, last, end = answer.body.decode().strip().split("\n\n")
    assert end == "data: [DONE]"
    assert json.loads(last.removeprefix("data: "))["type"] == "transcript.text.done"


def _chunking(trial: AudioTrial) -> None:
    assert trial.text(chunking_strategy={"type": "server_vad", "threshold": 1.0}) == ""


_BOTH: dict[str, Effect] = {
    "file": _file,
    "model": _model,
    "response_format": _response_format,
    "temperature": _temperature,
}
PROBES: Mapping[str, Probes] = {
    "transcriptions": Probes(
        "/v1/audio/transcriptions",
        {"model": MODEL, "file": "english", "language": "en"},
        {
            **_BOTH,
            "language": _language,
            "languages": _languages,
            "keywords": _keywords,
            "prompt": _prompt,
            "timestamp_granularities": _granularities,
            "stream": _stream,
            "chunking_strategy": _chunking,
        },
        refused={
            "include": {"include": ["logprobs"]},
            "known_speaker_names": {"known_speaker_names": ["Ann"]},
            "known_speaker_references": {"known_speaker_references": ["data:audio/wav;base64,AAAA"]},
        },
        trial_type=AudioTrial,
    ),
    "translations": Probes(
        "/v1/audio/translations",
        {"model": MODEL, "file": "chinese"},
        {**_BOTH, "prompt": _translation_prompt},
        trial_type=AudioTrial,
    ),
}
