"""The forms of transcriptions and translations."""

from typing import Annotated, Any

import msgspec

from homeport.api.compatibility import MODEL, refused, served

FILES = {
    "file": served(
        "flac, m4a, mp3, mp4, mpeg, mpga, oga, ogg, wav or webm, detected by content; at most 25 MB, 4 hours."
    )
}
"""The notes of the file fields of both forms."""
_TEMPERATURE = served("0 to 1; 0 decodes greedily and retries at higher temperatures where the result looks wrong.")


class ServerVad(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """`chunking_strategy` as an object, with OpenAI's defaults."""

    type: str
    prefix_padding_ms: int = 300
    silence_duration_ms: int = 200
    threshold: float = 0.5


class TranslationForm(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The fields of a translation, without the file."""

    model: Annotated[str, MODEL]
    prompt: Annotated[str | None, served("The preceding text, in English; sets the style.")] = None
    response_format: Annotated[str | None, served("json, text, srt, verbose_json or vtt.")] = None
    temperature: Annotated[float | None, _TEMPERATURE] = None


class TranscriptionForm(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The fields of a transcription, without the file."""

    model: Annotated[str, MODEL]
    language: Annotated[
        str | None,
        served("ISO 639-1 or auto; zh uses the prompt's script, else simplified; extensions: zh-hans, zh-hant."),
    ] = None
    languages: Annotated[
        list[str] | None, served("Candidates for the spoken language; the most likely one is used.")
    ] = None
    keywords: Annotated[list[str] | None, served("Expected words; at most 64 tokens.")] = None
    prompt: Annotated[str | None, served("The preceding text; sets the style and the Chinese script.")] = None
    response_format: Annotated[
        str | None, served("json, text, srt, verbose_json or vtt; diarized_json is refused.")
    ] = None
    temperature: Annotated[float | None, _TEMPERATURE] = None
    timestamp_granularities: Annotated[list[str] | None, served("word, segment or both; only with verbose_json.")] = (
        None
    )
    stream: Annotated[bool | None, served("An event for each segment; only with json and text.")] = None
    chunking_strategy: Annotated[
        str | dict[str, Any] | None, served("auto (default), or server_vad with its three parameters.")
    ] = None
    include: Annotated[
        list[str] | None, refused("Log-probabilities of tokens are not available; an empty array is accepted.")
    ] = None
    known_speaker_names: Annotated[list[str] | None, refused("Speakers are not distinguished.")] = None
    known_speaker_references: Annotated[list[str] | None, refused("Speakers are not distinguished.")] = None
