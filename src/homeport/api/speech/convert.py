"""From the body of a speech request to the engine request, checks included. Knows no voices."""

import msgspec

from homeport.api.speech.schema import SpeechBody
from homeport.domain import validation
from homeport.domain.errors import InvalidRequest
from homeport.domain.speech import AUDIO_FORMATS, AudioFormat, SpeechRequest

MAX_CHARACTERS = 4096
STREAM_FORMATS = ("audio", "sse")


def to_request(body: SpeechBody) -> SpeechRequest:
    """Make the engine request. Raises InvalidRequest naming the field."""
    validation.check_length("input", body.input, MAX_CHARACTERS, 1)
    if not isinstance(body.voice, str):
        raise validation.unsupported_field("voice", "Custom voices are not supported: use the name of a voice.")
    if body.instructions:
        raise validation.unsupported_field(
            "instructions", "The voices do not follow instructions: use `speed` to set the pace."
        )
    validation.check_choice("response_format", body.response_format, AUDIO_FORMATS)
    validation.check_number("speed", body.speed, 0.25, 4)
    validation.check_choice("stream_format", body.stream_format, STREAM_FORMATS)
    if not body.input.strip():
        raise InvalidRequest("Invalid 'input': it contains no text to speak.", param="input", code="invalid_value")
    format = msgspec.convert(body.response_format or "mp3", AudioFormat)
    return SpeechRequest(body.input, body.voice, format, 1.0 if body.speed is None else float(body.speed))
