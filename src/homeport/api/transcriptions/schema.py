"""The forms of transcriptions and translations, and their checks. Knows no audio."""

from typing import Annotated, Any

import msgspec

from homeport.api import json_codec, validation
from homeport.api.compatibility import MODEL, refused, served
from homeport.api.transcriptions.languages import check_language
from homeport.domain.errors import InvalidRequest, excerpt
from homeport.domain.transcription import VadSettings

FORMATS = ("json", "text", "srt", "verbose_json", "vtt")
_GRANULARITIES = ("word", "segment")
_MAX_LANGUAGES, _MAX_KEYWORDS, _PROMPT_CHARS = 20, 100, 10_000

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

    def to_vad_settings(self) -> VadSettings:
        """Check the values and make the engine's settings. Raises InvalidRequest."""
        validation.check_choice("chunking_strategy.type", self.type, ("server_vad",))
        validation.check_integer("chunking_strategy.prefix_padding_ms", self.prefix_padding_ms, 0, 10_000)
        validation.check_integer("chunking_strategy.silence_duration_ms", self.silence_duration_ms, 0, 60_000)
        validation.check_number("chunking_strategy.threshold", self.threshold, 0, 1)
        return VadSettings(self.threshold, self.prefix_padding_ms, self.silence_duration_ms)


class TranslationForm(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The form of a translation, without its file."""

    model: Annotated[str, MODEL]
    prompt: Annotated[str | None, served("The preceding text, in English; sets the style.")] = None
    response_format: Annotated[str | None, served("json, text, srt, verbose_json or vtt.")] = None
    temperature: Annotated[float | None, _TEMPERATURE] = None

    def check(self) -> None:
        """Check everything that needs no model. Raises InvalidRequest that names the field."""
        _check_shared(self)


class TranscriptionForm(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The form of a transcription, without its file."""

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

    def check(self) -> None:
        """Check everything that needs no model. Raises InvalidRequest that names the field."""
        if self.response_format == "diarized_json":
            raise validation.unsupported_field(
                "response_format", "Speakers are not distinguished, so there is no diarized_json."
            )
        _check_shared(self)
        validation.check_items("languages", self.languages, _MAX_LANGUAGES, 1)
        validation.check_items("keywords", self.keywords, _MAX_KEYWORDS)
        if check_language("language", self.language) and self.languages is not None:
            raise InvalidRequest("Give either `language` or `languages`, not both.", param="languages")
        if self.include:
            raise validation.unsupported_field("include", "Log-probabilities of tokens are not available.")
        for name in ("known_speaker_names", "known_speaker_references"):
            if getattr(self, name):
                raise validation.unsupported_field(name, "Speakers are not distinguished.")
        for each in self.timestamp_granularities or ():
            validation.check_choice("timestamp_granularities", each, _GRANULARITIES)
        if self.timestamp_granularities and self.response_format != "verbose_json":
            raise InvalidRequest(
                "'timestamp_granularities' is only allowed with response_format verbose_json.",
                param="timestamp_granularities",
            )
        if self.stream and self.response_format not in (None, "json", "text"):
            raise InvalidRequest(f"{self.response_format} cannot be streamed: use json or text.", param="stream")

    def vad_settings(self) -> VadSettings:
        """Make the settings that split the recording into chunks. Raises InvalidRequest."""
        given = self.chunking_strategy
        if given is None or given == "auto":
            return VadSettings()
        name = "chunking_strategy"
        try:
            if isinstance(given, str):
                return msgspec.json.decode(given, type=ServerVad).to_vad_settings()
            return json_codec.decode_form(given, ServerVad).to_vad_settings()
        except msgspec.DecodeError as error:
            raise InvalidRequest(
                f"Invalid '{name}': expected 'auto' or an object. {excerpt(str(error))}", param=name
            ) from error
        except InvalidRequest as error:
            error.param = name
            raise


def _check_shared(form: TranslationForm | TranscriptionForm) -> None:
    """Check the fields that both forms have. Raises InvalidRequest."""
    validation.check_length("prompt", form.prompt, _PROMPT_CHARS)
    validation.check_number("temperature", form.temperature, 0, 1)
    validation.check_choice("response_format", form.response_format, FORMATS)
