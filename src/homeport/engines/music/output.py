"""What the music engines share: bit rates, chunks of files, names of keys and of the caller's fields."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from homeport.domain.errors import InvalidRequest
from homeport.domain.events import AudioChunk
from homeport.domain.music import MusicRequest
from homeport.domain.speech import AudioFormat
from homeport.engines.music.score import Key

BITS_PER_S: Mapping[AudioFormat, int] = {"mp3": 192_000, "opus": 128_000, "aac": 160_000}
"""Of the lossy formats, in stereo."""
USUAL_S = 30.0
"""How long music is if the caller does not say it."""
CHUNK_BYTES = 64 * 1024
"""Files cross the link in events of at most this size."""
_FLATS = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
_SHARPS = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "G#", "A", "Bb", "B")


def chunks(data: bytes) -> Iterator[AudioChunk]:
    """Iterate over a file's bytes as events."""
    for start in range(0, len(data), CHUNK_BYTES):
        yield AudioChunk(data[start : start + CHUNK_BYTES])


def key_name(key: Key) -> str:
    """Return a key as musicians write it: `Bb major`, `C# minor`."""
    names = _FLATS if key.mode in ("major", "mixolydian") else _SHARPS
    return f"{names[key.tonic]} {key.mode}"


@contextmanager
def callers_fields(request: MusicRequest) -> Iterator[None]:
    """Have an error about the key name the field by which the caller gave it."""
    try:
        yield
    except InvalidRequest as error:
        if error.info.param != "key" or request.key_field == "key":
            raise
        raise InvalidRequest(error.info.message, param=request.key_field, code=error.info.code) from error
