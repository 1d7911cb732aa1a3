"""The request to a music engine. Values only: `api` builds them, a worker reads them.

Knows nothing of JSON field names, HTTP, notes or audio. The worker checks whether it knows the genre, the key and the
voice, and can sing the lyrics.
"""

from typing import Literal, get_args

import msgspec

MusicFormat = Literal["mp3", "opus", "aac", "flac", "wav", "pcm", "midi"]
MUSIC_FORMATS: tuple[MusicFormat, ...] = get_args(MusicFormat)
"""All but `midi` are formats of sound; `midi` is a file of notes."""

SECONDS_MIN = 5.0
TOKENS_PER_SECOND = 40
"""What a second of music counts in a key's token limits: as much as a second of speech."""


class MusicRequest(msgspec.Struct, frozen=True, tag="music_request"):
    """Asks for `n` pieces of music of about `seconds` each, seeded `seed`, `seed + 1`, …

    `seconds` None: the usual length, or what the lyrics take, but at most `max_seconds`. `lyrics` empty: instruments
    only. `genre`, `bpm` (musicians' beats a minute) and `key` (as `D minor`) None: what suits the prompt. `voice` None:
    the engine's default; read only if there are lyrics. `key_field`: the caller's name for the key.
    """

    prompt: str
    seed: int
    max_seconds: float
    seconds: float | None = None
    genre: str | None = None
    bpm: float | None = None
    key: str | None = None
    lyrics: str = ""
    voice: str | None = None
    n: int = 1
    format: MusicFormat = "mp3"
    key_field: str = "key"
