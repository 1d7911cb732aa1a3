"""The fields that ask for a spoken answer, and what they do not go together with."""

from typing import Any

import pytest

from tests.api.chat.audio_fakes import SPOKEN, STREAMED, VOICE, AudioApp

WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"modalities": ["audio"]}, "modalities", "['text', 'audio']"),
    ({"modalities": []}, "modalities", "Supported combinations"),
    ({"modalities": ["text", "image"]}, "modalities[1]", "'text', 'audio'"),
    ({"modalities": ["text", "audio"]}, "audio", "Missing required parameter: 'audio'"),
    ({"modalities": ["text"], "audio": VOICE}, "audio", "only allowed when 'modalities' contains 'audio'"),
    ({"audio": VOICE}, "audio", "only allowed"),
    ({**SPOKEN, "audio": {"format": "mp3"}}, "audio.voice", "Missing"),
    ({**SPOKEN, "audio": {"voice": "alloy"}}, "audio.format", "Missing"),
    ({**SPOKEN, "audio": {"voice": {"id": "voice_1"}, "format": "mp3"}}, "audio.voice", "Custom voices"),
    ({**SPOKEN, "audio": {**VOICE, "format": "pcm"}}, "audio.format", "'pcm16'"),
    ({**SPOKEN, "audio": {**VOICE, "speed": 2}}, "audio.speed", "Unrecognized"),
    ({**SPOKEN, "stream": True}, "audio.format", "does not support 'mp3' when stream=true"),
    ({**SPOKEN, "n": 2}, "n", "one choice"),
    ({**SPOKEN, "logprobs": True}, "logprobs", "do not support"),
    ({**SPOKEN, "response_format": {"type": "json_object"}}, "response_format", "do not support"),
]


@pytest.mark.parametrize(("fields", "param", "words"), WRONG, ids=[f"{p}-{i}" for i, (_, p, _) in enumerate(WRONG)])
async def test_what_is_wrong_is_refused_by_name(fields: dict[str, Any], param: str, words: str) -> None:
    """A missing field, a bad value or an impossible combination is a 400 that names the field; no model is asked."""
    app = AudioApp()
    response = await app.chat(**fields)
    assert (response.status, response.error["param"]) == (400, param)
    assert words in response.error["message"]
    assert not app.serving.requests


@pytest.mark.parametrize(
    "fields",
    [
        SPOKEN,
        STREAMED,
        {**SPOKEN, "modalities": ["audio", "text"], "n": 1, "logprobs": False},
        {**SPOKEN, "response_format": {"type": "text"}, "temperature": 0, "seed": 1, "stop": "x"},
    ],
    ids=["whole", "streamed", "order", "harmless"],
)
async def test_what_is_right_is_spoken(fields: dict[str, Any]) -> None:
    """The order of the modalities does not matter, and harmless values pass."""
    app = AudioApp()
    assert (await app.chat(**fields)).status == 200
    assert app.serving.texts[1:]


@pytest.mark.parametrize(
    ("fields", "limits"),
    [({}, (None, 2048)), ({"max_tokens": 7}, (7, 2048)), ({"max_completion_tokens": 5000}, (2048, 2048))],
)
async def test_spoken_answers_are_bounded(fields: dict[str, Any], limits: tuple[int | None, int]) -> None:
    """Whatever the caller allows, a spoken answer has at most 2048 tokens."""
    app = AudioApp()
    await app.chat(**SPOKEN, **fields)
    [stopping] = [request.stopping for _, request in app.serving.requests if hasattr(request, "stopping")]
    assert (stopping.max_tokens, stopping.default_tokens) == limits
