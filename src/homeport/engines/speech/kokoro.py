"""Kokoro on ONNX Runtime: phonemes and a voice in, one chunk of sound out, trimmed so that chunks can be joined.

Knows nothing of text, requests or encodings. Sound is float32, one channel, 24 kHz.
"""

import json
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import av
import av.error
import av.filter
import numpy as np
import onnxruntime
from av.audio.frame import AudioFrame
from numpy.typing import NDArray

from homeport.domain.errors import Unavailable
from homeport.engines.onnx_sessions import session_options

AudioSamples = NDArray[np.float32]

RATE = 24_000
FRAME = 600
"""Samples in one of the model's own frames (25 ms): the unit in which its length predictor counts."""
MAX_TOKENS = 510
_STYLE = 256
_MAX_MODEL_SPEED = 1.5  # up to here its own speed input scales the length as it says
_SILENT = 0.004
_LEAD_S, _TAIL_S, _FADE_S = 0.02, 0.05, 0.005


class KokoroModel:
    """One loaded model. `alphabet`: the phonemes it knows. Not for two threads at once."""

    def __init__(self, weights: Path, vocabulary: Path, voices: Mapping[str, Path], threads: int) -> None:
        self._session = onnxruntime.InferenceSession(
            str(weights), session_options(threads), providers=["CPUExecutionProvider"]
        )
        names = {each.name for each in self._session.get_inputs()}
        self._tokens = next((name for name in ("tokens", "input_ids") if name in names), "")
        if not {"style", "speed"} <= names or not self._tokens:
            raise Unavailable(f"{weights.name} is no Kokoro model: its inputs are {', '.join(sorted(names))}.")
        self._ids = _vocabulary(vocabulary)
        self._voices = dict(voices)
        self._styles: dict[str, AudioSamples] = {}
        self.alphabet = frozenset(self._ids)

    def synthesize(self, phonemes: str, speakers: Sequence[str], speed: float) -> AudioSamples:
        """Speak at most `MAX_TOKENS` phonemes, `speed` times as fast as usual.

        Silence around them is cut off, and clicks at the cuts are faded. The voice of several `speakers` is the middle
        between theirs. A phoneme lasts one frame of the model's at least, so that it cannot speak very fast: the rest
        of the speed is had by pressing the sound together, at its pitch.
        """
        own = min(speed, _MAX_MODEL_SPEED)
        sound = _trim_silence(self.compute(phonemes, speakers, own))
        return sound if own == speed else time_stretch(sound, speed / own)

    def compute(self, phonemes: str, speakers: Sequence[str], speed: float) -> AudioSamples:
        """What the model gives, as it is."""
        return self.run(self.inputs(phonemes, speakers, speed))

    def inputs(self, phonemes: str, speakers: Sequence[str], speed: float) -> dict[str, NDArray[np.generic]]:
        """The model's inputs by name: token ids between two zeros, the style for so many of them, the speed."""
        ids = [self._ids[each] for each in phonemes if each in self._ids][:MAX_TOKENS]
        tables = np.stack([self._style(each) for each in speakers])
        return {
            self._tokens: np.array([[0, *ids, 0]], np.int64),
            "style": tables[:, min(len(ids), tables.shape[1]) - 1].mean(axis=0)[None],
            "speed": np.array([speed], np.float32),
        }

    def run(self, inputs: dict[str, NDArray[np.generic]]) -> AudioSamples:
        """One pass of the model."""
        (sound,) = self._session.run(None, inputs)
        return np.asarray(sound, np.float32).reshape(-1)

    def _style(self, voice: str) -> AudioSamples:
        """The voice's table: one style for each number of phonemes."""
        if voice not in self._styles:
            self._styles[voice] = np.fromfile(self._voices[voice], np.float32).reshape(-1, _STYLE)
        return self._styles[voice]


def silence(seconds: float) -> AudioSamples:
    """So much silence."""
    return np.zeros(round(seconds * RATE), np.float32)


def time_stretch(sound: AudioSamples, factor: float) -> AudioSamples:
    """The sound in `1 / factor` of its time, at the same pitch."""
    if not len(sound):
        return sound
    graph = av.filter.Graph()
    source = graph.add_abuffer(sample_rate=RATE, format="flt", layout="mono", time_base=Fraction(1, RATE))
    tempo = graph.add("atempo", f"{factor:.6f}")
    sink = graph.add("abuffersink")
    source.link_to(tempo)
    tempo.link_to(sink)
    graph.configure()
    frame = AudioFrame.from_ndarray(sound[None], format="flt", layout="mono")
    frame.sample_rate, frame.pts = RATE, 0
    graph.push(frame)
    graph.push(None)
    parts: list[AudioSamples] = []
    while True:
        try:
            parts.append(np.asarray(graph.pull().to_ndarray(), np.float32).reshape(-1))
        except (av.error.EOFError, av.error.BlockingIOError):
            return np.concatenate(parts) if parts else sound[:0]


def _vocabulary(path: Path) -> dict[str, int]:
    """Phoneme to id. The packages call the table `vocab`; the hubs' tokenizer has it under `model`."""
    told = json.loads(path.read_text(encoding="utf-8"))
    table = told.get("model", told)["vocab"]
    return {str(phoneme): int(id) for phoneme, id in table.items() if len(phoneme) == 1 and phoneme != "$"}


def _trim_silence(sound: AudioSamples) -> AudioSamples:
    loud = np.flatnonzero(np.abs(sound) > _SILENT)
    if not loud.size:
        return sound[:0]
    kept = sound[max(0, loud[0] - round(_LEAD_S * RATE)) : loud[-1] + round(_TAIL_S * RATE)].copy()
    ramp = np.linspace(0, 1, min(round(_FADE_S * RATE), len(kept)), dtype=np.float32)
    kept[: len(ramp)] *= ramp
    kept[len(kept) - len(ramp) :] *= ramp[::-1]
    return kept
