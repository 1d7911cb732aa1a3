"""The transcription engine: recordings in, segments of text with their times out, each as soon as it is known.

Requests take turns, one window of half a minute each; one that nobody waits for ends after its window. Knows nothing
of subtitle formats or HTTP.
"""

import logging
from collections.abc import Iterator
from typing import Any

import ctranslate2
import faster_whisper
from faster_whisper.tokenizer import _LANGUAGE_CODES as LANGUAGES
from faster_whisper.vad import VadOptions

from homeport.domain.errors import InvalidRequest, Unavailable
from homeport.domain.events import Admitted, Done, Event, Heard, Segment, Usage, Word
from homeport.domain.link import Job
from homeport.domain.models import Loaded
from homeport.domain.ports import Engine
from homeport.domain.transcription import TranscriptionRequest
from homeport.engines.transcription import sound
from homeport.engines.transcription.script import folding, script_of
from homeport.engines.turns import Rounds, Turn, Turns

POSITIONS_PER_S = 50
"""What Whisper's encoder gives for a second of sound: counted as the recording's tokens."""

_COMPUTE = "int8"  # of what CTranslate2 has for CPUs the fastest, and as exact as float16 weights are heard
_CHINESE = "zh"
_WARMER = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)  # Radford et al. 2022, section 4.5


def load(job: Job) -> Engine:
    """Load the model a job names: a folder in CTranslate2's format. Raises Unavailable where it does not load."""
    threads = job.options.get("threads") or 0
    logging.getLogger("faster_whisper").setLevel(logging.WARNING)  # it writes down what is heard
    try:
        model = faster_whisper.WhisperModel(
            str(job.files["weights"].parent),
            device="cpu",
            compute_type=_COMPUTE,
            cpu_threads=int(threads),
            local_files_only=True,
        )
    except (RuntimeError, ValueError, OSError) as error:
        raise Unavailable(f"{job.model} does not load as a Whisper model: {error}") from error
    kernels = f"CTranslate2 {ctranslate2.__version__}, {model.model.compute_type}"
    listener = Listener(model)
    return Turns(Loaded(model=job.model, kernels=kernels), TranscriptionRequest, Rounds(listener.begin))


class Listener:
    """Makes the events of one request after the other from one model."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._languages = frozenset(LANGUAGES) if model.model.is_multilingual else frozenset({"en"})

    def begin(self, turn: Turn[TranscriptionRequest]) -> Iterator[Event]:
        """Give a request's events. Raises InvalidRequest for what the model or the recording do not allow."""
        request = turn.request
        self._check(request)
        samples = sound.read(request.sound, is_cancelled=lambda: turn.is_cancelled)
        seconds = len(samples) / sound.RATE_HZ
        prompt = self._prompt(request)
        heard = -(-len(samples) * POSITIONS_PER_S // sound.RATE_HZ)
        usage = Usage(heard + (len(self._model.hf_tokenizer.encode(prompt).ids) if prompt else 0))
        yield Admitted(usage.prompt_tokens)
        segments, language = self._listen(request, samples, prompt)
        yield Heard(language, seconds)
        script = script_of(prompt or "") or request.script
        fold = folding(script) if script and language == _CHINESE and not request.translates else str
        written = 0
        for found in segments:
            if not found.text.strip():
                continue
            written += len(found.tokens)
            yield _segment(found, fold, seconds)
        yield Done(Usage(usage.prompt_tokens, written))

    def _check(self, request: TranscriptionRequest) -> None:
        if request.translates and len(self._languages) == 1:
            raise InvalidRequest("This model knows English alone, so it cannot translate.", param="model")
        for language in filter(None, (request.language, *request.languages)):
            if language not in self._languages:
                raise InvalidRequest(f"This model does not know the language '{language}'.", param="language")

    def _prompt(self, request: TranscriptionRequest) -> str | None:
        """The text that the model takes for what was said before. It reads its last 223 tokens."""
        return request.prompt or None

    def _listen(
        self, request: TranscriptionRequest, samples: sound.Samples, prompt: str | None
    ) -> tuple[Iterator[Any], str]:
        """The segments to come, and the language they are heard in."""
        pauses = request.pauses
        language = request.language or self._among(request, samples)
        found, about = self._model.transcribe(
            samples,
            task="translate" if request.translates else "transcribe",
            language=language,
            temperature=list(_WARMER) if request.temperature == 0 else request.temperature,
            initial_prompt=prompt,
            hotwords=", ".join(request.keywords) or None,
            word_timestamps=request.words,
            vad_filter=True,
            vad_parameters=VadOptions(
                threshold=pauses.threshold,
                speech_pad_ms=pauses.padding_ms,
                min_silence_duration_ms=pauses.silence_ms,
            ),
        )
        return iter(found), str(about.language)

    def _among(self, request: TranscriptionRequest, samples: sound.Samples) -> str | None:
        """The likeliest of the languages that the caller expects; None where anything may be spoken."""
        if not request.languages:
            return None
        if len(request.languages) == 1:
            return request.languages[0]
        _, _, ranked = self._model.detect_language(samples, vad_filter=True)
        chances = dict(ranked or ())
        return max(request.languages, key=lambda language: chances.get(language, 0.0))


def _segment(found: Any, fold: Any, seconds: float) -> Segment:
    """One segment as an event; no time lies behind the recording's end, and words follow each other."""
    words, last = [], 0.0
    for word in found.words or ():
        start = min(max(float(word.start), last), seconds)
        last = min(max(float(word.end), start), seconds)
        words.append(Word(fold(word.word), round(start, 3), round(last, 3)))
    start = min(float(found.start), seconds)
    return Segment(
        seek=int(found.seek),
        start=round(start, 3),
        end=round(min(max(float(found.end), start), seconds), 3),
        text=fold(found.text),
        tokens=tuple(map(int, found.tokens)),
        temperature=float(found.temperature),
        avg_logprob=float(found.avg_logprob),
        compression_ratio=float(found.compression_ratio),
        no_speech_prob=float(found.no_speech_prob),
        words=tuple(words),
    )
