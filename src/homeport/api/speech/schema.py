"""The body of a speech request."""

from typing import Annotated

import msgspec

from homeport.api.compatibility import MODEL, refused, served


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
