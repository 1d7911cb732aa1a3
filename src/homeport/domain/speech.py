"""The request to a speech engine. Values only: `api` builds them, a worker reads them.

Knows nothing of JSON field names, HTTP, voices or audio. The worker checks whether it knows the voice and can read the
text.
"""

from typing import Literal, get_args

import msgspec

AudioFormat = Literal["mp3", "opus", "aac", "flac", "wav", "pcm"]
AUDIO_FORMATS: tuple[AudioFormat, ...] = get_args(AudioFormat)


class SpeechRequest(msgspec.Struct, frozen=True, tag="speech_request"):
    """Asks for `text` spoken by `voice` at `speed` times its normal pace, encoded as `format`.

    An empty text is a check of the voice: it is admitted, or refused, and has no audio.
    """

    text: str
    voice: str
    format: AudioFormat = "mp3"
    speed: float = 1.0
