"""The request to a transcription engine. Values only: `api` builds them, a worker reads them.

Knows nothing of multipart forms, subtitle formats or codecs. The worker checks what needs the audio or the model (its
length, the languages it knows).
"""

import msgspec

from homeport.domain.content import Attachment


class VadSettings(msgspec.Struct, frozen=True):
    """How speech is separated from silence: a probability, and times in milliseconds."""

    threshold: float = 0.5
    padding_ms: int = 400
    silence_ms: int = 2000


class TranscriptionRequest(msgspec.Struct, frozen=True, tag="transcription_request"):
    """Asks for the text spoken in `audio`, a file that exists until the request ends.

    `translates`: into English, whatever the language. `language`: an ISO 639-1 code; None: detected, among `languages`
    if any are given. `script`: the Chinese script of the output (`simplified`, `traditional`); None: that of the
    prompt, else simplified if `language` is zh, else the model's choice. `temperature` 0 starts with greedy decoding
    and rises if its output looks wrong. `word_timestamps`: returns the times of each word. `max_seconds`: a longer
    recording is refused before it is transcribed; None: the engine's own limit holds.
    """

    audio: Attachment
    translates: bool = False
    language: str | None = None
    languages: tuple[str, ...] = ()
    script: str | None = None
    prompt: str | None = None
    keywords: tuple[str, ...] = ()
    temperature: float = 0.0
    word_timestamps: bool = False
    vad: VadSettings = VadSettings()
    max_seconds: float | None = None
