"""The body of speech, its checks, and the engine request that it becomes. Knows no voice."""

from typing import Annotated

import msgspec

from homeport.api import validation
from homeport.api.compatibility import MODEL, refused, served
from homeport.domain.errors import InvalidRequest
from homeport.domain.speech import AUDIO_FORMATS, AudioFormat, SpeechRequest

MAX_CHARACTERS = 4096
STREAM_FORMATS = ("audio", "sse")


class SpeechBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The body."""

    model: Annotated[str | None, MODEL] = None
    input: Annotated[
        str,
        served(
            "1 to 4096 characters of English and Mandarin, also mixed. Other characters (emoji, other "
            "scripts) are skipped and listed in the header `x-homeport-skipped`; text mostly in other "
            "scripts is refused."
        ),
    ]
    voice: Annotated[
        str | dict[str, object],
        served(
            "OpenAI's names, which speak Mandarin with a Mandarin voice, or Kokoro's own 54. Custom voices are refused."
        ),
    ]
    response_format: Annotated[
        str | None, served("mp3 (default), opus (in Ogg), aac (ADTS), flac, wav, pcm (24 kHz, 16 bits).")
    ] = None
    speed: Annotated[float | None, served("0.25 to 4.")] = None
    stream_format: Annotated[str | None, served("audio (default) or sse, for every model name.")] = None
    instructions: Annotated[
        str | None, refused("The voices do not follow instructions; an empty string is accepted.")
    ] = None

    def to_request(self) -> SpeechRequest:
        """Check everything that needs no model, and make the engine request. Raises InvalidRequest."""
        validation.check_length("input", self.input, MAX_CHARACTERS, 1)
        if not isinstance(self.voice, str):
            raise validation.unsupported_field("voice", "Custom voices are not supported: use the name of a voice.")
        if self.instructions:
            raise validation.unsupported_field(
                "instructions", "The voices do not follow instructions: use `speed` to set the pace."
            )
        validation.check_choice("response_format", self.response_format, AUDIO_FORMATS)
        validation.check_number("speed", self.speed, 0.25, 4)
        validation.check_choice("stream_format", self.stream_format, STREAM_FORMATS)
        if not self.input.strip():
            raise InvalidRequest("Invalid 'input': it contains no text to speak.", param="input", code="invalid_value")
        wanted = msgspec.convert(self.response_format or "mp3", AudioFormat)
        return SpeechRequest(self.input, self.voice, wanted, 1.0 if self.speed is None else float(self.speed))
