"""From the bodies of music requests to the engine request, checks included. Knows no genres, keys or voices."""

import secrets
from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from homeport.api.music.schema import MusicBody, SoundGenerationBody
from homeport.domain import validation
from homeport.domain.errors import InvalidRequest
from homeport.domain.music import MUSIC_FORMATS, SECONDS_MIN, MusicFormat, MusicRequest

PROMPT_CHARS = 4096
LYRICS_BYTES = 10_000
STREAM_FORMATS = ("audio", "sse", "json")
_NAME_CHARS = 64
_BPM = (30, 300)
_MAX_SEED = 2**32 - 1
_MAX_PIECES = 4
_SOUND_GENERATION_NAMES = {"prompt": "text", "seconds": "duration_seconds", "key": "keyscale"}
_WITHOUT_EFFECT = {
    "language": "The language of lyrics is detected: leave it out.",
    "vocal_language": "The language of lyrics is detected: leave it out.",
    "timesignature": "The genre decides: name a waltz for 3/4, or a jig for 6/8, in 'text'.",
    "prompt_influence": "The models have no such strength: leave it out.",
}
_DO_NOTHING = {"do_sample": True, "think": False}
"""Fields with the only value that is served."""


class ConvertedMusic(NamedTuple):
    """An engine request, and how its answer is sent: one of `STREAM_FORMATS`."""

    request: MusicRequest
    stream_format: str


def to_request(
    body: MusicBody, *, max_s: float, is_batch: bool = False, names: Mapping[str, str] | None = None
) -> ConvertedMusic:
    """Make the engine request for at most `max_s` of music. Raises InvalidRequest naming the field.

    `is_batch`: it is a line of a batch, whose answer is JSON. `names`: the caller's names of fields, where they differ.
    """
    names = names or {}
    _check_words(body, names)
    _check_numbers(body, names, max_s)
    stream_format = body.stream_format or ("json" if is_batch else "audio")
    validation.check_choice("stream_format", stream_format, STREAM_FORMATS)
    if is_batch and stream_format != "json":
        raise InvalidRequest("A batch does not stream: use json.", param="stream_format", code="invalid_value")
    n = body.n or 1
    if n > 1 and stream_format == "audio":
        raise InvalidRequest(
            "One audio file holds one piece: for several, set 'stream_format' to json or sse.", param="n"
        )
    lyrics = (body.lyrics or "").strip()
    request = MusicRequest(
        prompt=f"{body.prompt}\n{body.artist}" if body.artist else body.prompt,
        max_seconds=max_s / n,
        seconds=None if body.seconds is None else float(body.seconds),
        genre=body.genre,
        bpm=None if body.bpm is None else float(body.bpm),
        key=body.key,
        lyrics=lyrics,
        voice=body.voice,
        seed=secrets.randbelow(_MAX_SEED + 1) if body.seed is None else body.seed,
        n=n,
        format=_format(body, lyrics),
        key_field=names.get("key", "key"),
    )
    return ConvertedMusic(request, stream_format)


def sound_generation_to_request(body: SoundGenerationBody, *, max_s: float) -> ConvertedMusic:
    """Make the engine request of LocalAI's body. Raises InvalidRequest naming the field."""
    for name, why in _WITHOUT_EFFECT.items():
        if getattr(body, name) not in (None, ""):
            raise validation.unsupported_field(name, why)
    for name, only in _DO_NOTHING.items():
        if getattr(body, name) not in (None, only):
            raise validation.unsupported_field(name, f"Only {str(only).lower()} is supported.")
    validation.check_length("caption", body.caption, PROMPT_CHARS)
    music = MusicBody(
        prompt=body.text,
        artist=body.caption,
        lyrics=body.lyrics,
        seconds=body.duration_seconds,
        bpm=body.bpm,
        key=body.keyscale or None,
        instrumental=body.instrumental,
        seed=body.seed,
        response_format=body.response_format,
        stream_format=body.stream_format,
    )
    return to_request(music, max_s=max_s, names=_SOUND_GENERATION_NAMES)


def _check_words(body: MusicBody, names: Mapping[str, str]) -> None:
    prompt = names.get("prompt", "prompt")
    validation.check_length(prompt, body.prompt, PROMPT_CHARS, 1)
    if not body.prompt.strip():
        raise InvalidRequest(f"Invalid '{prompt}': it has no words.", param=prompt, code="invalid_value")
    validation.check_length("artist", body.artist, PROMPT_CHARS)
    for name in ("genre", "key", "voice"):
        validation.check_length(names.get(name, name), getattr(body, name), _NAME_CHARS, 1)
    lyrics = body.lyrics or ""
    if len(lyrics) > LYRICS_BYTES or len(lyrics.encode("utf-8", "replace")) > LYRICS_BYTES:
        raise InvalidRequest(
            f"Invalid 'lyrics': they have more than {LYRICS_BYTES} bytes.",
            param="lyrics",
            code="string_above_max_length",
        )
    has_lyrics = bool(lyrics.strip())
    if body.instrumental is True and has_lyrics:
        raise InvalidRequest("Instrumental music has no lyrics: leave them out.", param="instrumental")
    if body.instrumental is False and not has_lyrics:
        raise InvalidRequest("The models write no lyrics: to have some sung, give 'lyrics'.", param="instrumental")
    if body.voice is not None and not has_lyrics:
        raise InvalidRequest("A voice sings 'lyrics', and there are none.", param="voice")


def _check_numbers(body: MusicBody, names: Mapping[str, str], max_s: float) -> None:
    seconds = names.get("seconds", "seconds")
    validation.check_number(seconds, body.seconds, SECONDS_MIN, max_s)
    validation.check_number("bpm", body.bpm, *_BPM)
    validation.check_integer("seed", body.seed, 0, _MAX_SEED)
    validation.check_integer("n", body.n, 1, _MAX_PIECES)
    if (body.seconds or SECONDS_MIN) * (body.n or 1) > max_s:
        raise InvalidRequest(
            f"{body.n} pieces of {body.seconds or SECONDS_MIN:g} s are longer than this server's limit of {max_s:g} s.",
            param="n",
        )


def _format(body: MusicBody, lyrics: str) -> MusicFormat:
    validation.check_choice("response_format", body.response_format, MUSIC_FORMATS)
    if body.response_format == "midi" and lyrics:
        raise InvalidRequest("A MIDI file holds notes and no voice: leave 'lyrics' out.", param="response_format")
    format: MusicFormat = msgspec.convert(body.response_format or "mp3", MusicFormat)
    return format
