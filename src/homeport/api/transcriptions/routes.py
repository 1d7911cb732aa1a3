"""`POST /v1/audio/transcriptions` and `/v1/audio/translations`: what is said in a recording, in writing.

Knows nothing of sound: the worker reads the file.
"""

from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from homeport.api import forms, json_codec, validation
from homeport.api.form_values import Form
from homeport.api.runner import admit, model_header, respond_whole
from homeport.api.services import registry, services
from homeport.api.streaming import DONE, EventStream, sse_event
from homeport.api.transcriptions.languages import SCRIPTS, check_language
from homeport.api.transcriptions.render import TranscriptCollector, TranscriptTextDelta
from homeport.domain.errors import InvalidRequest, excerpt
from homeport.domain.models import ResolvedModel
from homeport.domain.transcription import TranscriptionRequest, VadSettings

FORMATS = ("json", "text", "srt", "verbose_json", "vtt")
_GRANULARITIES = ("word", "segment")
_MAX_LANGUAGES, _MAX_KEYWORDS, _PROMPT_CHARS = 20, 100, 10_000


class ServerVad(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """`chunking_strategy` as an object. OpenAI's defaults."""

    type: str
    prefix_padding_ms: int = 300
    silence_duration_ms: int = 200
    threshold: float = 0.5

    def to_vad_settings(self) -> VadSettings:
        """As the engine takes it. Raises InvalidRequest."""
        validation.check_choice("chunking_strategy.type", self.type, ("server_vad",))
        validation.check_integer("chunking_strategy.prefix_padding_ms", self.prefix_padding_ms, 0, 10_000)
        validation.check_integer("chunking_strategy.silence_duration_ms", self.silence_duration_ms, 0, 60_000)
        validation.check_number("chunking_strategy.threshold", self.threshold, 0, 1)
        return VadSettings(self.threshold, self.prefix_padding_ms, self.silence_duration_ms)


class TranslationForm(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The fields of a translation, the file aside."""

    model: str
    prompt: str | None = None
    response_format: str | None = None
    temperature: float | None = None

    def check(self) -> None:
        """Check everything that needs no model. Raises InvalidRequest naming the field."""
        validation.check_length("prompt", self.prompt, _PROMPT_CHARS)
        validation.check_number("temperature", self.temperature, 0, 1)
        validation.check_choice("response_format", self.response_format, FORMATS)


class TranscriptionForm(TranslationForm, forbid_unknown_fields=True, kw_only=True):
    """The fields of a transcription, the file aside."""

    language: str | None = None
    languages: list[str] | None = None
    keywords: list[str] | None = None
    timestamp_granularities: list[str] | None = None
    stream: bool | None = None
    chunking_strategy: str | dict[str, Any] | None = None
    include: list[str] | None = None
    known_speaker_names: list[str] | None = None
    known_speaker_references: list[str] | None = None

    def check(self) -> None:
        """Check everything that needs no model. Raises InvalidRequest naming the field."""
        if self.response_format == "diarized_json":
            raise validation.unsupported_field(
                "response_format", "Speakers are not told apart here, so there is no diarized_json."
            )
        super().check()
        validation.check_items("languages", self.languages, _MAX_LANGUAGES, 1)
        validation.check_items("keywords", self.keywords, _MAX_KEYWORDS)
        if check_language("language", self.language) and self.languages is not None:
            raise InvalidRequest("Give either `language` or `languages`, not both.", param="languages")
        if self.include:
            raise validation.unsupported_field("include", "Log-probabilities of single tokens are not known here.")
        for name in ("known_speaker_names", "known_speaker_references"):
            if getattr(self, name):
                raise validation.unsupported_field(name, "Speakers are not told apart here.")
        for each in self.timestamp_granularities or ():
            validation.check_choice("timestamp_granularities", each, _GRANULARITIES)
        if self.timestamp_granularities and self.response_format != "verbose_json":
            raise InvalidRequest(
                "timestamp_granularities needs response_format verbose_json.", param="timestamp_granularities"
            )
        if self.stream and self.response_format not in (None, "json", "text"):
            raise InvalidRequest(f"{self.response_format} cannot be streamed: ask for json.", param="stream")

    def vad_settings(self) -> VadSettings:
        """How the recording is cut. Raises InvalidRequest."""
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


async def transcribe(request: Request) -> Response:
    """Write down what is said."""
    return await forms.respond_to_form(request, lambda form: _respond_transcription(request, form))


async def translate(request: Request) -> Response:
    """Write down in English what is said in any language."""
    return await forms.respond_to_form(request, lambda form: _respond_translation(request, form))


async def _respond_transcription(request: Request, form: Form) -> Response:
    body = form.fields(TranscriptionForm, "file")
    file = form.file("file")
    body.check()
    asked = TranscriptionRequest(
        audio=file.path,
        language=check_language("language", body.language),
        languages=tuple(found for each in body.languages or () if (found := check_language("languages", each))),
        script=SCRIPTS.get((body.language or "").lower()),
        prompt=body.prompt,
        keywords=tuple(body.keywords or ()),
        temperature=body.temperature or 0.0,
        word_timestamps="word" in (body.timestamp_granularities or ()),
        vad=body.vad_settings(),
    )
    resolved = registry(request).resolve(body.model, "transcriptions")
    if body.stream:
        return await _respond_stream(request, resolved, asked)
    times = body.timestamp_granularities or ["segment"]
    verbose = {"words": "word" in times, "segments": "segment" in times}
    return await _respond_whole(request, resolved, asked, body.response_format or "json", verbose)


async def _respond_translation(request: Request, form: Form) -> Response:
    body = form.fields(TranslationForm, "file")
    file = form.file("file")
    body.check()
    asked = TranscriptionRequest(
        audio=file.path, translates=True, prompt=body.prompt, temperature=body.temperature or 0.0
    )
    resolved = registry(request).resolve(body.model, "translations")
    return await _respond_whole(
        request, resolved, asked, body.response_format or "json", {"words": False, "segments": True}
    )


async def _respond_whole(
    request: Request, resolved: ResolvedModel, asked: TranscriptionRequest, form: str, verbose: Mapping[str, bool]
) -> Response:
    task = "translate" if asked.translates else "transcribe"

    def written(hearing: TranscriptCollector) -> bytes:
        if form == "verbose_json":
            return hearing.to_verbose_json(task, "english" if asked.translates else None, **verbose)
        writers: dict[str, Callable[[], bytes]] = {
            "json": hearing.to_json,
            "text": hearing.to_text,
            "srt": hearing.to_srt,
            "vtt": hearing.to_vtt,
        }
        return writers[form]()

    async def work() -> bytes:
        hearing = TranscriptCollector()
        async with admit(request, resolved, asked, task) as under_way:
            async for batch in under_way:
                hearing.add(batch)
        return written(hearing)

    is_json = form in ("json", "verbose_json")
    return await respond_whole(request, resolved, work(), "application/json" if is_json else "text/plain")


async def _respond_stream(request: Request, resolved: ResolvedModel, asked: TranscriptionRequest) -> Response:
    limits = services(request).limits
    source = _events(request, resolved, asked)
    return EventStream(source, model_header(resolved), ping_s=limits.ping_s, stall_s=limits.stall_s)


async def _events(
    request: Request, resolved: ResolvedModel, asked: TranscriptionRequest
) -> AsyncGenerator[bytes, None]:
    """The frames of a stream; first, when the request is admitted, nothing."""
    hearing = TranscriptCollector()
    async with admit(request, resolved, asked, "transcribe") as under_way:
        yield b""
        async for batch in under_way:
            deltas = filter(None, (hearing.add([each]) for each in batch))  # one for each segment
            if frames := b"".join(sse_event(json_codec.encode(TranscriptTextDelta(more))) for more in deltas):
                yield frames
        yield sse_event(json_codec.encode(hearing.to_done_event(under_way.usage))) + DONE
