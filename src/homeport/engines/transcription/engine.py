"""The transcription engine: recordings in, segments of text with their times out, each as soon as it is transcribed.

Requests are computed in turn, at most one window of 30 s each; a canceled one ends after its window. Knows nothing of
subtitle formats or HTTP.
"""

import logging
from collections.abc import Iterator
from typing import Any

import ctranslate2
import faster_whisper
from faster_whisper.transcribe import restore_speech_timestamps
from faster_whisper.vad import SpeechTimestampsMap

from homeport.domain.errors import InvalidRequest, Unavailable
from homeport.domain.events import (
    Admitted,
    Done,
    Event,
    RecordingInfo,
    Usage,
)
from homeport.domain.models import LoadedModel
from homeport.domain.ports.engine import Engine
from homeport.domain.transcription import TranscriptionRequest
from homeport.domain.worker_messages import EngineSpec
from homeport.engines.round_robin import ActiveRequest, GeneratorWork, RoundRobinEngine
from homeport.engines.transcription import audio
from homeport.engines.transcription.chinese_script import script_of
from homeport.engines.transcription.speech_chunks import SpeechChunk, split_speech
from homeport.engines.transcription.timeline import Timeline

POSITIONS_PER_S = 50
"""Whisper's encoder outputs per second of audio; they count as the recording's tokens."""

_COMPUTE_TYPE = "int8"  # docs/decisions.md has the measurements
_CHINESE = "zh"
_FALLBACK_TEMPERATURES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)  # Radford et al. 2022, section 4.5
_RESET_CONTEXT_ABOVE = 0.5  # text sampled at a higher temperature is not used as context: ibid.
_MAX_CONTEXT_TOKENS = 223  # of Whisper's context, which leaves as many tokens for its output
_MAX_KEYWORD_TOKENS = 64  # they precede every window, in addition to the context


def load(spec: EngineSpec) -> Engine:
    """Load the model of a spec, a folder in CTranslate2's format. Raises Unavailable if it does not load."""
    threads = spec.options.get("threads") or 0
    if not (spec.paths["weights"].parent / "tokenizer.json").is_file():  # the library would look for one online
        raise Unavailable(f"{spec.model} has no tokenizer.json: pull it again.")
    logging.getLogger("faster_whisper").setLevel(logging.WARNING)  # otherwise it logs transcribed text
    try:
        model = faster_whisper.WhisperModel(
            str(spec.paths["weights"].parent),
            device="cpu",
            compute_type=_COMPUTE_TYPE,
            cpu_threads=int(threads),
            local_files_only=True,
        )
    except (RuntimeError, ValueError, OSError) as error:
        raise Unavailable(f"{spec.model} cannot be loaded as a Whisper model: {error}") from error
    kernels = f"CTranslate2 {ctranslate2.__version__}, {model.model.compute_type}"
    transcriber = Transcriber(model)
    return RoundRobinEngine(
        LoadedModel(model=spec.model, kernels=kernels), TranscriptionRequest, GeneratorWork(transcriber.transcribe)
    )


class Transcriber:
    """Produces the events of requests with one model."""

    def __init__(self, model: Any) -> None:
        self._model = model
        tokenizer = model.hf_tokenizer
        known = (code for code in model.supported_languages if tokenizer.token_to_id(f"<|{code}|>") is not None)
        self._languages = frozenset(known) if model.model.is_multilingual else frozenset({"en"})
        self._text_ids = int(tokenizer.token_to_id("<|endoftext|>"))  # the ids of text come before this one
        tokenizer.encode_special_tokens = True  # callers' text never becomes a control token

    def transcribe(self, active: ActiveRequest[TranscriptionRequest]) -> Iterator[Event | None]:
        """Iterate over a request's events. Raises InvalidRequest if model or recording cannot be used for it.

        The recording is decoded twice: first to check it and to get its length, which `Admitted` reports.
        """
        request = active.request
        keywords = self._check(request)
        max_seconds = audio.MAX_DURATION_S if request.max_seconds is None else request.max_seconds
        with audio.open_recording(request.audio.local_path, max_seconds) as recording:
            count = 0
            for piece in recording.blocks():
                count += len(piece)
                yield None
            prompt = self._encode(request.prompt or "")[-_MAX_CONTEXT_TOKENS:]
            audio_tokens = -(-count * POSITIONS_PER_S // audio.RATE_HZ)
            prompt_tokens = audio_tokens + len(prompt) + keywords
            yield Admitted(prompt_tokens)
            seconds = count * 1000 // audio.RATE_HZ / 1000
            transcription = ActiveTranscription(self._model, request, prompt, seconds)
            for chunk in split_speech(recording.blocks(), request.vad):
                if chunk is None:
                    yield None
                else:
                    yield from transcription.transcribe_chunk(chunk)
            if not transcription.language:
                yield RecordingInfo("", seconds)
        yield Done(Usage(prompt_tokens, transcription.n_tokens))

    def _check(self, request: TranscriptionRequest) -> int:
        """Check that the model supports a request; return the number of tokens of the keywords."""
        if request.translates and len(self._languages) == 1:
            raise InvalidRequest("This model supports English only, so it cannot translate.", param="model")
        for name, codes in (("language", (request.language,)), ("languages", request.languages)):
            for code in filter(None, codes):
                if code not in self._languages:
                    raise InvalidRequest(f"This model does not support the language '{code}'.", param=name)
        keywords = len(self._encode(_join_keywords(request.keywords)))
        if keywords > _MAX_KEYWORD_TOKENS:
            raise InvalidRequest(
                f"The keywords have {keywords} tokens; the limit is {_MAX_KEYWORD_TOKENS}.", param="keywords"
            )
        return keywords

    def _encode(self, text: str) -> list[int]:
        """Return the tokens of a caller's text."""
        if not text.strip():
            return []
        ids = self._model.hf_tokenizer.encode(f" {text.strip()}", add_special_tokens=False).ids
        return [id for id in ids if id < self._text_ids]


def _join_keywords(keywords: tuple[str, ...]) -> str:
    return ", ".join(keywords)


class ActiveTranscription:
    """One request from its first chunk to its last. `language`: the spoken language, empty until it is known."""

    def __init__(self, model: Any, request: TranscriptionRequest, prompt: list[int], seconds: float) -> None:
        self.language = ""
        self.n_tokens = 0
        self._model = model
        self._request = request
        self._context = prompt
        self._seconds = seconds
        self._timeline = Timeline(seconds)

    def transcribe_chunk(self, chunk: SpeechChunk) -> Iterator[Event | None]:
        """Iterate over the segments of the next chunk."""
        request = self._request
        if not self.language:
            self.language = self._detect_language(chunk)
            self._timeline = Timeline(self._seconds, self._script())
            yield RecordingInfo(self.language, self._seconds)
        segments, _ = self._model.transcribe(
            chunk.samples,
            task="translate" if request.translates else "transcribe",
            language=self.language,
            temperature=list(_FALLBACK_TEMPERATURES) if request.temperature == 0 else request.temperature,
            initial_prompt=self._context or None,
            hotwords=_join_keywords(request.keywords) or None,
            word_timestamps=request.word_timestamps,
        )
        yield None
        times = SpeechTimestampsMap(list(chunk.spans), audio.RATE_HZ)
        for segment in restore_speech_timestamps(segments, list(chunk.spans), audio.RATE_HZ):
            segment.seek = round(times.get_original_time(segment.seek / 100) * 100)
            context = [] if segment.temperature > _RESET_CONTEXT_ABOVE else [*self._context, *segment.tokens]
            self._context = context[-_MAX_CONTEXT_TOKENS:]
            self.n_tokens += len(segment.tokens)
            yield self._timeline.put(segment)

    def _detect_language(self, chunk: SpeechChunk) -> str:
        """Return the requested language, the likeliest of the requested ones, or the likeliest of all."""
        request = self._request
        if request.language:
            return request.language
        if len(request.languages) == 1:
            return request.languages[0]
        if not self._model.model.is_multilingual:
            return "en"
        language, _, ranked = self._model.detect_language(chunk.samples)
        if not request.languages:
            return str(language)
        probabilities = dict(ranked)
        return max(request.languages, key=lambda code: probabilities.get(code, 0.0))

    def _script(self) -> str | None:
        """Return the Chinese script to write; None: the model's own choice, which is mostly traditional.

        It is the requested script, else that of the prompt, else simplified if the request names Chinese.
        """
        request = self._request
        if self.language != _CHINESE or request.translates:
            return None
        default = "simplified" if request.language == _CHINESE else None
        return request.script or script_of(request.prompt or "") or default
