"""The speech engine: requests in, encoded audio out, one chunk of a text after another.

Several requests are computed in turn, one chunk each. Knows nothing of HTTP.
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
from homeport.domain.models import VOICE, LoadedModel
from homeport.domain.speech import SpeechRequest
from homeport.domain.worker_messages import EngineSpec
from homeport.engines.audio_encoder import AudioProfile, encoder
from homeport.engines.round_robin import ActiveRequest, GeneratorWork, RoundRobinEngine
from homeport.engines.synthesis import voices
from homeport.engines.synthesis.kokoro import FRAME, RATE, KokoroModel, silence
from homeport.engines.synthesis.phonemizer import Phonemizer

CHUNK_BYTES = 64 * 1024
"""Audio crosses the link in events of at most this size."""
PROFILE = AudioProfile(RATE, 1, {"mp3": 64_000, "opus": 32_000, "aac": 64_000})
_END_SILENCE_S = 0.1  # after the last word


def load(spec: EngineSpec) -> RoundRobinEngine[SpeechRequest]:
    """Load Kokoro. Files: `weights`, `vocabulary`, and `voice/<name>` for each voice. Raises Unavailable."""
    voice_files = {role.removeprefix(VOICE): path for role, path in spec.paths.items() if role.startswith(VOICE)}
    for role in ("weights", "vocabulary"):
        if role not in spec.paths:
            raise Unavailable(f"{spec.model} has no file for the role {role}: pull it again.")
    if not voice_files:
        raise Unavailable(f"{spec.model} has no voices: pull it again.")
    synthesizer = SpeechSynthesizer(spec.paths["weights"], spec.paths["vocabulary"], voice_files, _threads(spec))
    loaded = LoadedModel(model=spec.model, kernels=f"ONNX Runtime {onnxruntime.__version__}")
    return RoundRobinEngine(loaded, SpeechRequest, GeneratorWork(synthesizer.synthesize))


def _threads(spec: EngineSpec) -> int:
    threads = spec.options.get("threads")
    return int(threads) if threads else 0


class SpeechSynthesizer:
    """A loaded model with its voices and its phonemizer."""

    def __init__(self, weights: Path, vocabulary: Path, voice_files: dict[str, Path], threads: int) -> None:
        self._model = KokoroModel(weights, vocabulary, voice_files, threads)
        self._phonemizer = Phonemizer(self._model.alphabet)
        self._names = frozenset(voice_files)

    def synthesize(self, active: ActiveRequest[SpeechRequest]) -> Iterator[Event]:
        """Iterate over the events of one request. Usage: phonemes in, frames of 25 ms out. An empty text has none."""
        request = active.request
        voice = voices.find(request.voice, self._names)
        if not request.text:
            yield Admitted(0, (0,))
            yield Done(Usage())
            return
        phonemized = self._phonemizer.phonemize(request.text, voice)
        phonemes = sum(len(chunk.phonemes) for chunk in phonemized.chunks)
        yield Admitted(phonemes, (len(request.text),), phonemized.skipped)
        audio = encoder(request.format, PROFILE)
        n_samples = 0
        for number, chunk in enumerate(phonemized.chunks, 1):
            samples = self._model.synthesize(chunk.phonemes, voice.speakers(chunk.language), request.speed)
            pause_s = chunk.pause_s if number < len(phonemized.chunks) else _END_SILENCE_S
            pause = silence(pause_s / request.speed)
            n_samples += len(samples) + len(pause)
            yield from _audio_events(audio.feed(samples) + audio.feed(pause))
        yield from _audio_events(audio.end())
        yield Done(Usage(phonemes, -(-n_samples // FRAME)))


def _audio_events(data: bytes) -> Iterator[Event]:
    for start in range(0, len(data), CHUNK_BYTES):
        yield AudioChunk(data[start : start + CHUNK_BYTES])
