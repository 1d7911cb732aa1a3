"""The speech engine: requests in, encoded sound out, one chunk of a text after another.

Knows nothing of HTTP. Several requests are spoken side by side, one chunk each in turn.
"""

from collections.abc import Iterator
from pathlib import Path

import onnxruntime

from homeport.domain.errors import Unavailable
from homeport.domain.events import (
    Admitted,
    AudioChunk,
    Done,
    Event,
    Usage,
)
from homeport.domain.models import LoadedModel
from homeport.domain.speech import SpeechRequest
from homeport.domain.worker_messages import EngineSpec
from homeport.engines.round_robin import ActiveRequest, GeneratorWork, RoundRobinEngine
from homeport.engines.speech import voices
from homeport.engines.speech.audio_encoder import encoder
from homeport.engines.speech.kokoro import FRAME, KokoroModel, silence
from homeport.engines.speech.phonemizer import Phonemizer

CHUNK_BYTES = 64 * 1024
"""Sound crosses the link in pieces of at most this size."""
_VOICE = "voice/"
_FLUSH_INTERVAL_S = 0.1  # silence behind the last word, at most


def load(job: EngineSpec) -> RoundRobinEngine[SpeechRequest]:
    """Load Kokoro. Files: `weights`, `vocabulary`, and `voice/<name>` for each voice. Raises Unavailable."""
    named = {role.removeprefix(_VOICE): path for role, path in job.paths.items() if role.startswith(_VOICE)}
    for role in ("weights", "vocabulary"):
        if role not in job.paths:
            raise Unavailable(f"{job.model} has no file for the role {role}: pull it again.")
    if not named:
        raise Unavailable(f"{job.model} has no voices: pull it again.")
    speaker = SpeechSynthesizer(job.paths["weights"], job.paths["vocabulary"], named, _threads(job))
    loaded = LoadedModel(model=job.model, kernels=f"ONNX Runtime {onnxruntime.__version__}")
    return RoundRobinEngine(loaded, SpeechRequest, GeneratorWork(speaker.synthesize))


def _threads(job: EngineSpec) -> int:
    given = job.options.get("threads")
    return int(given) if given else 0


class SpeechSynthesizer:
    """A loaded model with its voices and its reader."""

    def __init__(self, weights: Path, vocabulary: Path, named: dict[str, Path], threads: int) -> None:
        self._synthesis = KokoroModel(weights, vocabulary, named, threads)
        self._reader = Phonemizer(self._synthesis.alphabet)
        self._names = frozenset(named)

    def synthesize(self, turn: ActiveRequest[SpeechRequest]) -> Iterator[Event]:
        """Speak one request. Usage: phonemes read, and frames of 25 ms spoken."""
        request = turn.request
        voice = voices.find(request.voice, self._names)
        reading = self._reader.phonemize(request.text, voice)
        phonemes = sum(len(chunk.phonemes) for chunk in reading.chunks)
        yield Admitted(phonemes, (len(request.text),), reading.skipped)
        encoded = encoder(request.format)
        samples = 0
        for number, chunk in enumerate(reading.chunks, 1):
            sound = self._synthesis.synthesize(chunk.phonemes, voice.speakers(chunk.language), request.speed)
            pause_s = chunk.pause_s if number < len(reading.chunks) else _FLUSH_INTERVAL_S
            rest = silence(pause_s / request.speed)
            samples += len(sound) + len(rest)
            yield from _pieces(encoded.feed(sound) + encoded.feed(rest))
        yield from _pieces(encoded.end())
        yield Done(Usage(phonemes, -(-samples // FRAME)))


def _pieces(data: bytes) -> Iterator[Event]:
    for start in range(0, len(data), CHUNK_BYTES):
        yield AudioChunk(data[start : start + CHUNK_BYTES])
