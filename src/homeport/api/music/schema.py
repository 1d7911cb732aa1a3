"""The bodies of music requests: this server's own, and that of `/v1/sound-generation`, with LocalAI's names."""

from typing import Annotated, Any

import msgspec

from homeport.api.compatibility import refused, served

_MODEL = served("A model's own name. Default homeport-tunes. `jukebox` is a 404 that says why.")
_LYRICS = served("At most 10,000 bytes, in English or Mandarin, one line of the song a line; sung by a voice.")
_BPM = served("30 to 300 of the beats that musicians count: dotted quarters in 6/8. Default: as the prompt suggests.")
_KEY = served("Such as `D minor`, `F# major`, `Am` or `E dorian`. Default: as the prompt suggests.")
_INSTRUMENTAL = served("true: nobody sings, so there may be no `lyrics`; false: there must be.")
_SEED = served("0 to 2^32 - 1; the same seed gives the same bytes. Default: random, in the header `x-homeport-seed`.")
_RESPONSE_FORMAT = served(
    "mp3 (default), opus (in Ogg), aac (ADTS), flac, wav, pcm (44.1 kHz, stereo, 16 bits), or midi: the notes, without "
    "`lyrics`."
)
_STREAM_FORMAT = served("audio (default), sse: progress and audio as events, or json: one answer with base64.")


class MusicBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The body of `/v1/audio/music`."""

    model: Annotated[str | None, _MODEL] = None
    prompt: Annotated[str, served("1 to 4096 characters in any language: genre, mood, tempo, metre.")]
    genre: Annotated[
        str | None, served("A genre that the model knows; an unknown one is a 400 that names near ones.")
    ] = None
    artist: Annotated[str | None, served("Words that are added to the prompt. Nobody is imitated.")] = None
    lyrics: Annotated[str | None, _LYRICS] = None
    seconds: Annotated[
        float | None,
        served("5 to the server's `max_music_s`, about: music ends with a section. Default: 30, or what lyrics take."),
    ] = None
    bpm: Annotated[float | None, _BPM] = None
    key: Annotated[str | None, _KEY] = None
    instrumental: Annotated[bool | None, _INSTRUMENTAL] = None
    voice: Annotated[str | None, served("Who sings the lyrics: a voice of `/v1/audio/speech`.")] = None
    seed: Annotated[int | None, _SEED] = None
    n: Annotated[
        int | None, served("1 to 4 pieces, each with its own seed; above 1 only with `stream_format` json or sse.")
    ] = None
    response_format: Annotated[str | None, _RESPONSE_FORMAT] = None
    stream_format: Annotated[str | None, _STREAM_FORMAT] = None


class SoundGenerationBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The body of `/v1/sound-generation`."""

    text: Annotated[str, served("The prompt.")]
    caption: Annotated[str | None, served("More of the prompt.")] = None
    model_id: Annotated[str | None, _MODEL] = None
    model: Annotated[str | None, served("Another name of `model_id`.")] = None
    duration_seconds: Annotated[float | None, served("`seconds` of `/v1/audio/music`.")] = None
    bpm: Annotated[float | None, _BPM] = None
    keyscale: Annotated[str | None, _KEY] = None
    lyrics: Annotated[str | None, _LYRICS] = None
    instrumental: Annotated[bool | None, _INSTRUMENTAL] = None
    seed: Annotated[int | None, _SEED] = None
    response_format: Annotated[str | None, _RESPONSE_FORMAT] = None
    stream_format: Annotated[str | None, _STREAM_FORMAT] = None
    language: Annotated[str | None, refused("The language of lyrics is detected.")] = None
    vocal_language: Annotated[str | None, refused("As `language`.")] = None
    timesignature: Annotated[str | None, refused("The genre decides: name a waltz for 3/4 or a jig for 6/8.")] = None
    prompt_influence: Annotated[float | None, refused("The models have no such strength.")] = None
    do_sample: Annotated[Any, refused("Notes are always sampled; true is accepted.")] = None
    think: Annotated[Any, refused("The models do not plan in text; false is accepted.")] = None
