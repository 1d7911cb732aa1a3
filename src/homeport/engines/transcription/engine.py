"""The transcription engine: recordings in, segments of text with their times out, each as soon as it is known.

Requests take turns, a window of half a minute each at most; one that nobody waits for ends after its window. Knows
nothing of subtitle formats or HTTP.
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
"""What Whisper's encoder gives for a second of sound: counted as the recording's tokens."""

_COMPUTE = "int8"  # docs/decisions.md has what was measured
_CHINESE = "zh"
_FALLBACK_TEMPERATURES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)  # Radford et al. 2022, section 4.5
_RESET_CONTEXT_ABOVE = 0.5  # text made at a higher temperature is no context: same place
_BEFORE = 223  # tokens of context that Whisper reads, which leaves as many for what it writes
_KEYWORDS = 64  # tokens; they stand before every window, beside the context


def load(job: EngineSpec) -> Engine:
    """Load the model a job names: a folder in CTranslate2's format. Raises Unavailable where it does not load."""
    threads = job.options.get("threads") or 0
    if not (job.paths["weights"].parent / "tokenizer.json").is_file():  # the library would look for one online
        raise Unavailable(f"{job.model} has no tokenizer.json: pull it again.")
    logging.getLogger("faster_whisper").setLevel(logging.WARNING)  # it writes down what is heard
    try:
        model = faster_whisper.WhisperModel(
            str(job.paths["weights"].parent),
            device="cpu",
            compute_type=_COMPUTE,
            cpu_threads=int(threads),
            local_files_only=True,
        )
    except (RuntimeError, ValueError, OSError) as error:
        raise Unavailable(f"{job.model} does not load as a Whisper model: {error}") from error
    kernels = f"CTranslate2 {ctranslate2.__version__}, {model.model.compute_type}"
    listener = Transcriber(model)
    return RoundRobinEngine(
        LoadedModel(model=job.model, kernels=kernels), TranscriptionRequest, GeneratorWork(listener.transcribe)
    )


class Transcriber:
    """Makes the events of one request after the other from one model."""

    def __init__(self, model: Any) -> None:
        self._model = model
        words = model.hf_tokenizer
        known = (code for code in model.supported_languages if words.token_to_id(f"<|{code}|>") is not None)
        self._languages = frozenset(known) if model.model.is_multilingual else frozenset({"en"})
        self._text_ids = int(words.token_to_id("<|endoftext|>"))  # those of text come first
        words.encode_special_tokens = True  # what callers write is text, never a control token

    def transcribe(self, turn: ActiveRequest[TranscriptionRequest]) -> Iterator[Event | None]:
        """Give a request's events. Raises InvalidRequest for what the model or the recording do not allow.

        The recording is read twice: at first to see that it can be, and how long it is, as `Admitted` must say.
        """
        request = turn.request
        keywords = self._check(request)
        with audio.open_recording(request.audio.local_path) as recording:
            count = 0
            for piece in recording.blocks():
                count += len(piece)
                yield None
            prompt = self._encode(request.prompt or "")[-_BEFORE:]
            heard = -(-count * POSITIONS_PER_S // audio.RATE_HZ)
            read = heard + len(prompt) + keywords
            yield Admitted(read)
            seconds = count * 1000 // audio.RATE_HZ / 1000
            hearing = ActiveTranscription(self._model, request, prompt, seconds)
            for passage in split_speech(recording.blocks(), request.vad):
                if passage is None:
                    yield None
                else:
                    yield from hearing.transcribe_chunk(passage)
            if not hearing.language:
                yield RecordingInfo("", seconds)
        yield Done(Usage(read, hearing.written))

    def _check(self, request: TranscriptionRequest) -> int:
        """See that the model can do this; give how many tokens the keywords take."""
        if request.translates and len(self._languages) == 1:
            raise InvalidRequest("This model knows English alone, so it cannot translate.", param="model")
        for name, codes in (("language", (request.language,)), ("languages", request.languages)):
            for code in filter(None, codes):
                if code not in self._languages:
                    raise InvalidRequest(f"This model does not know the language '{code}'.", param=name)
        keywords = len(self._encode(_join_keywords(request.keywords)))
        if keywords > _KEYWORDS:
            raise InvalidRequest(
                f"The keywords take {keywords} tokens; this model reads {_KEYWORDS} at most.", param="keywords"
            )
        return keywords

    def _encode(self, text: str) -> list[int]:
        """A text of the caller's as tokens."""
        if not text.strip():
            return []
        ids = self._model.hf_tokenizer.encode(f" {text.strip()}", add_special_tokens=False).ids
        return [id for id in ids if id < self._text_ids]


def _join_keywords(keywords: tuple[str, ...]) -> str:
    return ", ".join(keywords)


class ActiveTranscription:
    """One request from its first passage to its last. `language`: what is spoken, once it is known."""

    def __init__(self, model: Any, request: TranscriptionRequest, prompt: list[int], seconds: float) -> None:
        self.language = ""
        self.written = 0
        self._model = model
        self._request = request
        self._before = prompt
        self._seconds = seconds
        self._timeline = Timeline(seconds)

    def transcribe_chunk(self, passage: SpeechChunk) -> Iterator[Event | None]:
        """Give the segments of the next passage."""
        request = self._request
        if not self.language:
            self.language = self._detect_language(passage)
            self._timeline = Timeline(self._seconds, self._script())
            yield RecordingInfo(self.language, self._seconds)
        found, _ = self._model.transcribe(
            passage.samples,
            task="translate" if request.translates else "transcribe",
            language=self.language,
            temperature=list(_FALLBACK_TEMPERATURES) if request.temperature == 0 else request.temperature,
            initial_prompt=self._before or None,
            hotwords=_join_keywords(request.keywords) or None,
            word_timestamps=request.word_timestamps,
        )
        yield None
        places = SpeechTimestampsMap(list(passage.spans), audio.RATE_HZ)
        for segment in restore_speech_timestamps(found, list(passage.spans), audio.RATE_HZ):
            segment.seek = round(places.get_original_time(segment.seek / 100) * 100)
            self._before = (
                [] if segment.temperature > _RESET_CONTEXT_ABOVE else [*self._before, *segment.tokens][-_BEFORE:]
            )
            self.written += len(segment.tokens)
            yield self._timeline.put(segment)

    def _detect_language(self, passage: SpeechChunk) -> str:
        """The language: the one that was said, the likeliest of those that were, or the likeliest of all."""
        request = self._request
        if request.language:
            return request.language
        if len(request.languages) == 1:
            return request.languages[0]
        if not self._model.model.is_multilingual:
            return "en"
        language, _, ranked = self._model.detect_language(passage.samples)
        if not request.languages:
            return str(language)
        chances = dict(ranked)
        return max(request.languages, key=lambda code: chances.get(code, 0.0))

    def _script(self) -> str | None:
        """The Chinese script to write; None to leave it to the model, which mostly writes the traditional one.

        The one asked for; else that of the prompt; else, where Chinese was asked for by name, the simplified one.
        """
        request = self._request
        if self.language != _CHINESE or request.translates:
            return None
        named = "simplified" if request.language == _CHINESE else None
        return request.script or script_of(request.prompt or "") or named
