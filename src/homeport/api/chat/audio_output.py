"""Whether and how a chat's answer is spoken: the fields `modalities` and `audio`, and what goes together with them.

Knows nothing of voices or models.
"""

from collections.abc import Mapping
from typing import NamedTuple

from homeport.api.chat.schema import ChatBody
from homeport.domain import validation
from homeport.domain.errors import InvalidRequest
from homeport.domain.speech import AudioFormat

MAX_SPOKEN_TOKENS = 2048
"""The maximum number of tokens of a spoken answer: about ten minutes, which a whole answer holds in memory."""
STREAMED_FORMAT = "pcm16"
_MODALITIES = ("text", "audio")
_INPUTS = ("transcribe",)
_FORMATS: Mapping[str, AudioFormat] = {
    "wav": "wav",
    "aac": "aac",
    "mp3": "mp3",
    "flac": "flac",
    "opus": "opus",
    STREAMED_FORMAT: "pcm",
}
_TEXT_ONLY = "Spoken answers do not support it: leave 'audio' out of 'modalities'."


class AudioOutput(NamedTuple):
    """How an answer is spoken."""

    voice: str
    format: AudioFormat


def is_spoken(body: ChatBody) -> bool:
    """Return whether the answer is to be spoken."""
    return "audio" in (body.modalities or ())


def check_audio(body: ChatBody) -> None:
    """Check the fields about audio. Raises InvalidRequest naming the field."""
    validation.check_choice("audio_input", body.audio_input, _INPUTS)
    for at, modality in enumerate(body.modalities or ()):
        validation.check_choice(f"modalities[{at}]", modality, _MODALITIES)
    if body.modalities is not None and set(body.modalities) not in ({"text"}, set(_MODALITIES)):
        raise InvalidRequest(
            f"Invalid modalities: {body.modalities[:2]}. Supported combinations are: ['text'] and ['text', 'audio'].",
            param="modalities",
            code="invalid_value",
        )
    if is_spoken(body):
        to_audio_output(body)
        _check_together(body)
    elif body.audio is not None:
        raise InvalidRequest("The 'audio' parameter is only allowed when 'modalities' contains 'audio'.", param="audio")


def to_audio_output(body: ChatBody) -> AudioOutput:
    """Return how a spoken answer is spoken. Raises InvalidRequest naming the field."""
    if body.audio is None:
        raise validation.missing("audio")
    voice, format = body.audio.voice, body.audio.format
    if voice is None:
        raise validation.missing("audio.voice")
    if not isinstance(voice, str):
        raise validation.unsupported_field("audio.voice", "Custom voices are not supported: use the name of a voice.")
    validation.check_length("audio.voice", voice, validation.LABEL_CHARS, 1)
    if format is None:
        raise validation.missing("audio.format")
    validation.check_choice("audio.format", format, tuple(_FORMATS))
    if body.stream and format != STREAMED_FORMAT:
        raise InvalidRequest(
            f"Unsupported value: 'audio.format' does not support '{format}' when stream=true. Supported values are: "
            f"'{STREAMED_FORMAT}'.",
            param="audio.format",
            code="unsupported_value",
        )
    return AudioOutput(voice, _FORMATS[format])


def _check_together(body: ChatBody) -> None:
    """Refuse what spoken answers do not have."""
    if body.choices > 1:
        raise validation.unsupported_field("n", "A spoken answer has one choice.")
    if body.logprobs:
        raise validation.unsupported_field("logprobs", _TEXT_ONLY)
    if body.response_format is not None and body.response_format.type != "text":
        raise validation.unsupported_field("response_format", _TEXT_ONLY)
