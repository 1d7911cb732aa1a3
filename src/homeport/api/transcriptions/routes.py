"""`POST /v1/audio/transcriptions` and `/v1/audio/translations`: what is said in a recording, in writing.

Knows nothing of sound: the worker reads the file.
"""

from collections.abc import AsyncGenerator, Callable, Mapping

from starlette.requests import Request
from starlette.responses import Response

from homeport.api import forms, json_codec
from homeport.api.form_values import Form
from homeport.api.runner import admit, model_header, respond_whole
from homeport.api.services import registry, services
from homeport.api.streaming import DONE, EventStream, sse_event
from homeport.api.transcriptions.languages import SCRIPTS, check_language
from homeport.api.transcriptions.render import TranscriptCollector, TranscriptTextDelta
from homeport.api.transcriptions.schema import TranscriptionForm, TranslationForm
from homeport.domain.models import ResolvedModel
from homeport.domain.transcription import TranscriptionRequest


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
