"""What a transcription engine is asked for. Values only; `api` builds them, a worker reads them.

Knows nothing of multipart forms, subtitle formats or codecs. What needs the sound or the model (its length, what
languages it knows) is checked by the worker.
"""

from pathlib import Path

import msgspec


class VadSettings(msgspec.Struct, frozen=True):
    """How speech is told from silence, and cut there: a probability, and times in milliseconds."""

    threshold: float = 0.5
    padding_ms: int = 400
    silence_ms: int = 2000


class TranscriptionRequest(msgspec.Struct, frozen=True, tag="transcription_request"):
    """Write down what is said in `sound`, a file that stays until the request has ended.

    `translates`: in English, whatever is spoken. `language`: an ISO 639-1 code; None: heard, among `languages` where
    there are any. `script`: the Chinese script to write (`simplified`, `traditional`); None: that of the prompt, else
    the simplified one where `language` is zh, else as the model does.
    `temperature` 0 starts with the likeliest words and grows by itself where these look wrong. `words`: times of each.
    """

    audio: Path
    translates: bool = False
    language: str | None = None
    languages: tuple[str, ...] = ()
    script: str | None = None
    prompt: str | None = None
    keywords: tuple[str, ...] = ()
    temperature: float = 0.0
    word_timestamps: bool = False
    vad: VadSettings = VadSettings()
