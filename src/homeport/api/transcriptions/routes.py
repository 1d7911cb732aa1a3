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
from homeport.api.runner import opened, origin, whole
from homeport.api.services import registry, services
from homeport.api.streaming import DONE, EventStream, event
from homeport.api.transcriptions.languages import SCRIPTS, checked
from homeport.api.transcriptions.render import Hearing, TextDelta
from homeport.domain.errors import InvalidRequest, excerpt
from homeport.domain.models import Resolved
from homeport.domain.transcription import Pauses, TranscriptionRequest

FORMATS = ("json", "text", "srt", "verbose_json", "vtt")
_GRANULARITIES = ("word", "segment")
_MOST_LANGUAGES, _MOST_KEYWORDS, _PROMPT_CHARS = 20, 100, 10_000


class ServerVad(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """`chunking_strategy` as an object. OpenAI's defaults."""

    type: str
    prefix_padding_ms: int = 300
    silence_duration_ms: int = 200
    threshold: float = 0.5

    def pauses(self) -> Pauses:
        """As the engine takes it. Raises InvalidRequest."""
        validation.one_of("chunking_strategy.type", self.type, ("server_vad",))
        validation.integer("chunking_strategy.prefix_padding_ms", self.prefix_padding_ms, 0, 10_000)
        validation.integer("chunking_strategy.silence_duration_ms", self.silence_duration_ms, 0, 60_000)
        validation.decimal("chunking_strategy.threshold", self.threshold, 0, 1)
        return Pauses(self.threshold, self.prefix_padding_ms, self.silence_duration_ms)


class TranslationForm(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The fields of a translation, the file aside."""

    model: str
    prompt: str | None = None
    response_format: str | None = None
    temperature: float | None = None

    def check(self) -> None:
        """Check everything that needs no model. Raises InvalidRequest naming the field."""
        validation.length("prompt", self.prompt, _PROMPT_CHARS)
        validation.decimal("temperature", self.temperature, 0, 1)
        validation.one_of("response_format", self.response_format, FORMATS)


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
            raise validation.unsupported(
                "response_format", "Speakers are not told apart here, so there is no diarized_json."
            )
        super().check()
        validation.items("languages", self.languages, _MOST_LANGUAGES, 1)
        validation.items("keywords", self.keywords, _MOST_KEYWORDS)
        if checked("language", self.language) and self.languages is not None:
            raise InvalidRequest("Give either `language` or `languages`, not both.", param="languages")
        if self.include:
            raise validation.unsupported("include", "Log-probabilities of single tokens are not known here.")
        for name in ("known_speaker_names", "known_speaker_references"):
            if getattr(self, name):
                raise validation.unsupported(name, "Speakers are not told apart here.")
        for each in self.timestamp_granularities or ():
            validation.one_of("timestamp_granularities", each, _GRANULARITIES)
        if self.timestamp_granularities and self.response_format != "verbose_json":
            raise InvalidRequest(
                "timestamp_granularities needs response_format verbose_json.", param="timestamp_granularities"
            )
        if self.stream and self.response_format not in (None, "json", "text"):
            raise InvalidRequest(f"{self.response_format} cannot be streamed: ask for json.", param="stream")

    def pauses(self) -> Pauses:
        """How the recording is cut. Raises InvalidRequest."""
        given = self.chunking_strategy
        if given is None or given == "auto":
            return Pauses()
        name = "chunking_strategy"
        try:
            if isinstance(given, str):
                return msgspec.json.decode(given, type=ServerVad).pauses()
            return json_codec.convert(given, ServerVad).pauses()
        except msgspec.DecodeError as error:
            raise InvalidRequest(
                f"Invalid '{name}': expected 'auto' or an object. {excerpt(str(error))}", param=name
            ) from error
        except InvalidRequest as error:
            error.param = name
            raise


async def transcribe(request: Request) -> Response:
    """Write down what is said."""
    return await forms.answered(request, lambda form: _transcribed(request, form))


async def translate(request: Request) -> Response:
    """Write down in English what is said in any language."""
    return await forms.answered(request, lambda form: _translated(request, form))


async def _transcribed(request: Request, form: Form) -> Response:
    body = form.fields(TranscriptionForm, "file")
    file = form.file("file")
    body.check()
    asked = TranscriptionRequest(
        sound=file.path,
        language=checked("language", body.language),
        languages=tuple(found for each in body.languages or () if (found := checked("languages", each))),
        script=SCRIPTS.get((body.language or "").lower()),
        prompt=body.prompt,
        keywords=tuple(body.keywords or ()),
        temperature=body.temperature or 0.0,
        words="word" in (body.timestamp_granularities or ()),
        pauses=body.pauses(),
    )
    resolved = registry(request).resolve(body.model, "transcriptions")
    if body.stream:
        return await _streamed(request, resolved, asked)
    times = body.timestamp_granularities or ["segment"]
    verbose = {"words": "word" in times, "segments": "segment" in times}
    return await _whole(request, resolved, asked, body.response_format or "json", verbose)


async def _translated(request: Request, form: Form) -> Response:
    body = form.fields(TranslationForm, "file")
    file = form.file("file")
    body.check()
    asked = TranscriptionRequest(
        sound=file.path, translates=True, prompt=body.prompt, temperature=body.temperature or 0.0
    )
    resolved = registry(request).resolve(body.model, "translations")
    return await _whole(request, resolved, asked, body.response_format or "json", {"words": False, "segments": True})


async def _whole(
    request: Request, resolved: Resolved, asked: TranscriptionRequest, form: str, verbose: Mapping[str, bool]
) -> Response:
    task = "translate" if asked.translates else "transcribe"

    def written(hearing: Hearing) -> bytes:
        if form == "verbose_json":
            return hearing.verbose(task, "english" if asked.translates else None, **verbose)
        writers: dict[str, Callable[[], bytes]] = {
            "json": hearing.brief,
            "text": hearing.plain,
            "srt": hearing.srt,
            "vtt": hearing.vtt,
        }
        return writers[form]()

    async def work() -> bytes:
        hearing = Hearing()
        async with opened(request, resolved, asked, task) as under_way:
            async for batch in under_way:
                hearing.add(batch)
        return written(hearing)

    is_json = form in ("json", "verbose_json")
    return await whole(request, resolved, work(), "application/json" if is_json else "text/plain")


async def _streamed(request: Request, resolved: Resolved, asked: TranscriptionRequest) -> Response:
    limits = services(request).limits
    source = _events(request, resolved, asked)
    return EventStream(source, origin(resolved), ping_s=limits.ping_s, stall_s=limits.stall_s)


async def _events(request: Request, resolved: Resolved, asked: TranscriptionRequest) -> AsyncGenerator[bytes, None]:
    """The frames of a stream; first, when the request is admitted, nothing."""
    hearing = Hearing()
    async with opened(request, resolved, asked, "transcribe") as under_way:
        yield b""
        async for batch in under_way:
            deltas = filter(None, (hearing.add([each]) for each in batch))  # one for each segment
            if frames := b"".join(event(json_codec.encode(TextDelta(more))) for more in deltas):
                yield frames
        yield event(json_codec.encode(hearing.done(under_way.usage))) + DONE
