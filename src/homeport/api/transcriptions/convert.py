"""From the forms of transcriptions and translations to the engine request, checks included. Knows no audio."""

from pathlib import Path

import msgspec

from homeport.api import json_codec
from homeport.api.transcriptions.languages import SCRIPTS, check_language
from homeport.api.transcriptions.schema import ServerVad, TranscriptionForm, TranslationForm
from homeport.domain import validation
from homeport.domain.content import Attachment
from homeport.domain.errors import InvalidRequest, excerpt
from homeport.domain.transcription import TranscriptionRequest, VadSettings

FORMATS = ("json", "text", "srt", "verbose_json", "vtt")
_GRANULARITIES = ("word", "segment")
_MAX_LANGUAGES, _MAX_KEYWORDS, _PROMPT_CHARS = 20, 100, 10_000


def transcription_to_request(form: TranscriptionForm, audio: Path) -> TranscriptionRequest:
    """Make the engine request for a transcription. Raises InvalidRequest naming the field."""
    _check_transcription(form)
    codes = (check_language("languages", language) for language in form.languages or ())
    return TranscriptionRequest(
        audio=Attachment(audio),
        language=check_language("language", form.language),
        languages=tuple(code for code in codes if code),
        script=SCRIPTS.get((form.language or "").lower()),
        prompt=form.prompt,
        keywords=tuple(form.keywords or ()),
        temperature=form.temperature or 0.0,
        word_timestamps="word" in (form.timestamp_granularities or ()),
        vad=_to_vad_settings(form.chunking_strategy),
    )


def translation_to_request(form: TranslationForm, audio: Path) -> TranscriptionRequest:
    """Make the engine request for a translation. Raises InvalidRequest naming the field."""
    _check_shared(form)
    return TranscriptionRequest(
        audio=Attachment(audio), translates=True, prompt=form.prompt, temperature=form.temperature or 0.0
    )


def _check_transcription(form: TranscriptionForm) -> None:
    if form.response_format == "diarized_json":
        raise validation.unsupported_field(
            "response_format", "Speakers are not distinguished, so there is no diarized_json."
        )
    _check_shared(form)
    validation.check_items("languages", form.languages, _MAX_LANGUAGES, 1)
    validation.check_items("keywords", form.keywords, _MAX_KEYWORDS)
    if check_language("language", form.language) and form.languages is not None:
        raise InvalidRequest("Give either `language` or `languages`, not both.", param="languages")
    if form.include:
        raise validation.unsupported_field("include", "Log-probabilities of tokens are not available.")
    for name in ("known_speaker_names", "known_speaker_references"):
        if getattr(form, name):
            raise validation.unsupported_field(name, "Speakers are not distinguished.")
    for each in form.timestamp_granularities or ():
        validation.check_choice("timestamp_granularities", each, _GRANULARITIES)
    if form.timestamp_granularities and form.response_format != "verbose_json":
        raise InvalidRequest(
            "'timestamp_granularities' is only allowed with response_format verbose_json.",
            param="timestamp_granularities",
        )
    if form.stream and form.response_format not in (None, "json", "text"):
        raise InvalidRequest(f"{form.response_format} cannot be streamed: use json or text.", param="stream")


def _check_shared(form: TranslationForm | TranscriptionForm) -> None:
    """Check the fields that both forms have. Raises InvalidRequest."""
    validation.check_length("prompt", form.prompt, _PROMPT_CHARS)
    validation.check_number("temperature", form.temperature, 0, 1)
    validation.check_choice("response_format", form.response_format, FORMATS)


def _to_vad_settings(strategy: str | dict[str, object] | None) -> VadSettings:
    """Convert how the recording is split into chunks. Raises InvalidRequest."""
    if strategy is None or strategy == "auto":
        return VadSettings()
    name = "chunking_strategy"
    try:
        if isinstance(strategy, str):
            return _check_server_vad(msgspec.json.decode(strategy, type=ServerVad))
        return _check_server_vad(json_codec.decode_form(strategy, ServerVad))
    except msgspec.DecodeError as error:
        raise InvalidRequest(
            f"Invalid '{name}': expected 'auto' or an object. {excerpt(str(error))}", param=name
        ) from error
    except InvalidRequest as error:
        error.param = name
        raise


def _check_server_vad(vad: ServerVad) -> VadSettings:
    validation.check_choice("chunking_strategy.type", vad.type, ("server_vad",))
    validation.check_integer("chunking_strategy.prefix_padding_ms", vad.prefix_padding_ms, 0, 10_000)
    validation.check_integer("chunking_strategy.silence_duration_ms", vad.silence_duration_ms, 0, 60_000)
    validation.check_number("chunking_strategy.threshold", vad.threshold, 0, 1)
    return VadSettings(vad.threshold, vad.prefix_padding_ms, vad.silence_duration_ms)
