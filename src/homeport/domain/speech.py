"""What a speech engine is asked for. Values only; `api` builds them, a worker reads them.

Knows nothing of JSON field names, HTTP, voices or sound. Whether a voice is known and the text can be read is checked
by the worker.
"""

from typing import Literal, get_args

import msgspec

AudioFormat = Literal["mp3", "opus", "aac", "flac", "wav", "pcm"]
AUDIO_FORMATS: tuple[AudioFormat, ...] = get_args(AudioFormat)


class SpeechRequest(msgspec.Struct, frozen=True, tag="speech_request"):
    """`text` spoken by `voice` at `speed` times its own pace, encoded as `format`."""

    text: str
    voice: str
    format: AudioFormat = "mp3"
    speed: float = 1.0
