"""`POST /v1/audio/transcriptions` and `/v1/audio/translations`: speech to text, in its language or in English.

Knows nothing of audio: the worker reads the file.
"""

from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from homeport.api import forms
from homeport.api.form_values import Form
from homeport.api.request_runner import run
from homeport.api.services import registry
from homeport.api.transcriptions.convert import transcription_to_request, translation_to_request
from homeport.api.transcriptions.render import transcription_writer, translation_writer
from homeport.api.transcriptions.schema import TranscriptionForm, TranslationForm


async def transcribe(request: Request) -> Response:
    """Transcribe a recording."""
    return await forms.respond_to_form(request, partial(_transcribe, request))


async def translate(request: Request) -> Response:
    """Transcribe a recording of any language in English."""
    return await forms.respond_to_form(request, partial(_translate, request))


async def _transcribe(request: Request, form: Form) -> Response:
    fields, audio = form.fields(TranscriptionForm, "file"), form.file("file").path
    resolved = registry(request).resolve(fields.model, "transcriptions")
    engine_request = transcription_to_request(fields, audio)
    return await run(request, resolved, engine_request, transcription_writer(fields), endpoint="transcribe")


async def _translate(request: Request, form: Form) -> Response:
    fields, audio = form.fields(TranslationForm, "file"), form.file("file").path
    resolved = registry(request).resolve(fields.model, "translations")
    engine_request = translation_to_request(fields, audio)
    return await run(request, resolved, engine_request, translation_writer(fields), endpoint="translate")
