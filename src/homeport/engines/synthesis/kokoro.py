"""Kokoro on ONNX Runtime: phonemes and a voice in, one chunk of audio out, trimmed so that chunks can be joined.

Knows nothing of text, requests or encodings. Audio is float32, one channel, 24 kHz.
"""

import json
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import av
import av.error
import av.filter
import numpy as np
from av.audio.frame import AudioFrame
from numpy.typing import NDArray

from homeport.domain.errors import Unavailable
from homeport.engines.onnx_sessions import open_session

AudioSamples = NDArray[np.float32]

RATE = 24_000
FRAME = 600
"""Samples in one of the model's own frames (25 ms), the unit of its length predictor."""
MAX_TOKENS = 510
TOKEN_INPUTS = ("tokens", "input_ids")
"""The names of the input of phonemes in the exports of this model."""
_STYLE = 256
_MAX_MODEL_SPEED = 1.5  # up to here the model's own speed input scales the length correctly
_SILENCE_LEVEL = 0.004
_LEAD_S, _TAIL_S, _FADE_S = 0.02, 0.05, 0.005


class PhonemeEncoder:
    """What the model's inputs are made of: the ids of phonemes, and the styles of voices."""

    def __init__(self, vocabulary: Path, voices: Mapping[str, Path]) -> None:
        self._ids = _vocabulary(vocabulary)
        self._voices = dict(voices)
        self._styles: dict[str, AudioSamples] = {}
        self.alphabet = frozenset(self._ids)

    def tokens(self, phonemes: str) -> NDArray[np.int64]:
        """Return the ids of at most `MAX_TOKENS` phonemes between two zeros, with an axis before: [1, ids]."""
        ids = [self._ids[each] for each in phonemes if each in self._ids][:MAX_TOKENS]
        return np.array([[0, *ids, 0]], np.int64)

    def style(self, speakers: Sequence[str], n_phonemes: int) -> AudioSamples:
        """Return the average style of these voices for a text of this many phonemes: [1, 256]."""
        tables = np.stack([self._table(each) for each in speakers])
        return np.asarray(tables[:, min(n_phonemes, tables.shape[1]) - 1].mean(axis=0)[None], np.float32)

    def _table(self, voice: str) -> AudioSamples:
        """Return the voice's table: one style for each number of phonemes."""
        if voice not in self._styles:
            self._styles[voice] = np.fromfile(self._voices[voice], np.float32).reshape(-1, _STYLE)
        return self._styles[voice]


class KokoroModel:
    """One loaded model. `alphabet`: the phonemes it knows. Not thread-safe."""

    def __init__(self, weights: Path, vocabulary: Path, voices: Mapping[str, Path], threads: int) -> None:
        self._session = open_session(weights, threads)
        names = {each.name for each in self._session.get_inputs()}
        self._tokens = next((name for name in TOKEN_INPUTS if name in names), "")
        if not {"style", "speed"} <= names or not self._tokens:
            raise Unavailable(f"{weights.name} is not a Kokoro model: its inputs are {', '.join(sorted(names))}.")
        self._encoder = PhonemeEncoder(vocabulary, voices)
        self.alphabet = self._encoder.alphabet

    def synthesize(self, phonemes: str, speakers: Sequence[str], speed: float) -> AudioSamples:
        """Speak at most `MAX_TOKENS` phonemes, `speed` times as fast as normal.

        Silence at both ends is trimmed, and the cuts are faded. The styles of several `speakers` are averaged. A
        phoneme takes at least one frame of the model, so that it cannot speak very fast: higher speeds are reached by
        time compression at the same pitch.
        """
        model_speed = min(speed, _MAX_MODEL_SPEED)
        samples = _trim_silence(self.compute(phonemes, speakers, model_speed))
        return samples if model_speed == speed else time_stretch(samples, speed / model_speed)

    def compute(self, phonemes: str, speakers: Sequence[str], speed: float) -> AudioSamples:
        """Return the model's output, untrimmed."""
        return self.run(self.inputs(phonemes, speakers, speed))

    def inputs(self, phonemes: str, speakers: Sequence[str], speed: float) -> dict[str, NDArray[np.generic]]:
        """Return the model's inputs by name: token ids between two zeros, the style for their number, the speed."""
        tokens = self._encoder.tokens(phonemes)
        return {
            self._tokens: tokens,
            "style": self._encoder.style(speakers, tokens.size - 2),
            "speed": np.array([speed], np.float32),
        }

    def run(self, inputs: dict[str, NDArray[np.generic]]) -> AudioSamples:
        """Run the model once."""
        (samples,) = self._session.run(None, inputs)
        return np.asarray(samples, np.float32).reshape(-1)


def silence(seconds: float) -> AudioSamples:
    """Return silence of this length."""
    return np.zeros(round(seconds * RATE), np.float32)


def time_stretch(samples: AudioSamples, factor: float) -> AudioSamples:
    """Return audio compressed to `1 / factor` of its duration, at the same pitch."""
    if not len(samples):
        return samples
    graph = av.filter.Graph()
    source = graph.add_abuffer(sample_rate=RATE, format="flt", layout="mono", time_base=Fraction(1, RATE))
    tempo = graph.add("atempo", f"{factor:.6f}")
    sink = graph.add("abuffersink")
    source.link_to(tempo)
    tempo.link_to(sink)
    graph.configure()
    frame = AudioFrame.from_ndarray(samples[None], format="flt", layout="mono")
    frame.sample_rate, frame.pts = RATE, 0
    graph.push(frame)
    graph.push(None)
    parts: list[AudioSamples] = []
    while True:
        try:
            parts.append(np.asarray(graph.pull().to_ndarray(), np.float32).reshape(-1))
        except (av.error.EOFError, av.error.BlockingIOError):
            return np.concatenate(parts) if parts else samples[:0]


def _vocabulary(path: Path) -> dict[str, int]:
    """Return the table of phoneme to id: `vocab` in the packages' file, below `model` in the hubs' tokenizer file."""
    data = json.loads(path.read_text(encoding="utf-8"))
    table = data.get("model", data)["vocab"]
    return {str(phoneme): int(id) for phoneme, id in table.items() if len(phoneme) == 1 and phoneme != "$"}


def _trim_silence(samples: AudioSamples) -> AudioSamples:
    audible = np.flatnonzero(np.abs(samples) > _SILENCE_LEVEL)
    if not audible.size:
        return samples[:0]
    trimmed = samples[max(0, audible[0] - round(_LEAD_S * RATE)) : audible[-1] + round(_TAIL_S * RATE)].copy()
    ramp = np.linspace(0, 1, min(round(_FADE_S * RATE), len(trimmed)), dtype=np.float32)
    trimmed[: len(ramp)] *= ramp
    trimmed[len(trimmed) - len(ramp) :] *= ramp[::-1]
    return trimmed
