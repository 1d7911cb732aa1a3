"""Kokoro with given lengths of phonemes and a given pitch, in place of its own.

The model is cut in three: what predicts the lengths of phonemes, what predicts pitch and loudness for given lengths,
and what makes audio for given pitch and loudness. Knows nothing of lyrics or notes.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from homeport.domain.errors import Unavailable
from homeport.domain.models import VOICE
from homeport.engines.onnx_sessions import session_options
from homeport.engines.synthesis.kokoro import TOKEN_INPUTS, AudioSamples, PhonemeEncoder
from homeport.engines.synthesis.onnx_subgraph import OnnxGraph

FloatArray = NDArray[np.float32]

_LENGTHS = "/encoder/predictor/ReduceSum_output_0"
_ROUNDED_LENGTHS = "/encoder/Cast_output_0"
_PROSODY_FEATURES = "/encoder/predictor/text_encoder/Concat_4_output_0"
_SOUND_FEATURES = "/encoder/text_encoder/Transpose_2_output_0"
_ALIGNED_FEATURES = "/encoder/MatMul_1_output_0"
_PITCH, _LOUDNESS = "/encoder/Squeeze_output_0", "/encoder/Squeeze_1_output_0"
_STYLE = "style"
_PLAUSIBLE_HZ = 60  # below, the model means a sound without pitch


class SpokenPhrase(NamedTuple):
    """What the model knows of a phrase before its rhythm: the style, the frames of each phoneme, and its features."""

    style: FloatArray
    frames: FloatArray
    prosody_features: FloatArray
    sound_features: FloatArray


class TimedPhrase(NamedTuple):
    """A phrase with its rhythm. Of each half frame the model's pitch in Hertz, and the loudness, as a logarithm."""

    style: FloatArray
    features: FloatArray
    pitch: FloatArray
    loudness: FloatArray

    def is_voiced(self) -> NDArray[np.bool_]:
        """Return where the model's sound has a pitch."""
        return self.pitch > _PLAUSIBLE_HZ


class KokoroSinger:
    """The three parts of one loaded model. `files`: by role, as of the speech engine. Not thread-safe."""

    def __init__(self, files: dict[str, Path], threads: int) -> None:
        """Load the model. Raises Unavailable if the export has other names than the ones that are cut here."""
        weights = files["weights"]
        try:
            graph = OnnxGraph(weights.read_bytes())
        except ValueError as error:
            raise Unavailable(f"{weights.name} does not load: {error}") from error
        self._tokens = next((name for name in TOKEN_INPUTS if name in graph.names), "")
        needed = {_LENGTHS, _ROUNDED_LENGTHS, _PROSODY_FEATURES, _SOUND_FEATURES, _ALIGNED_FEATURES, _PITCH, _LOUDNESS}
        if not self._tokens or not needed <= graph.names:
            raise Unavailable(f"{weights.name} can speak, but not sing: use the export in kokoro-82m.")
        voices = {role.removeprefix(VOICE): path for role, path in files.items() if role.startswith(VOICE)}
        self.voices = frozenset(voices)
        self._encoder = PhonemeEncoder(files["vocabulary"], voices)
        self.alphabet = self._encoder.alphabet
        features = {_PROSODY_FEATURES: np.float32, _SOUND_FEATURES: np.float32, _STYLE: np.float32}
        spoken = (_LENGTHS, _PROSODY_FEATURES, _SOUND_FEATURES)
        sung = {_ALIGNED_FEATURES: np.float32, _PITCH: np.float32, _LOUDNESS: np.float32, _STYLE: np.float32}
        timed = (_ALIGNED_FEATURES, _PITCH, _LOUDNESS)
        self._speaker = _open(graph.part({self._tokens: np.int64, _STYLE: np.float32}, spoken), threads)
        self._timer = _open(graph.part({_ROUNDED_LENGTHS: np.int64, **features}, timed), threads)
        self._decoder = _open(graph.part(sung, ("audio",)), threads)

    def speak(self, phonemes: str, speakers: Sequence[str]) -> SpokenPhrase:
        """Return the model's features of a phrase; its frames are one more than phonemes at either end."""
        tokens = self._encoder.tokens(phonemes)
        style = self._encoder.style(speakers, tokens.size - 2)
        frames, prosody, sound = self._speaker.run(None, {self._tokens: tokens, _STYLE: style})
        return SpokenPhrase(style, np.asarray(frames, np.float32)[0], prosody, sound)

    def time(self, phrase: SpokenPhrase, frames: NDArray[np.int64]) -> TimedPhrase:
        """Give the phonemes these lengths, in frames."""
        given = {
            _ROUNDED_LENGTHS: frames[None],
            _PROSODY_FEATURES: phrase.prosody_features,
            _SOUND_FEATURES: phrase.sound_features,
            _STYLE: phrase.style,
        }
        features, pitch, loudness = self._timer.run(None, given)
        return TimedPhrase(phrase.style, features, pitch[0], loudness[0])

    def sing(self, phrase: TimedPhrase, pitch: FloatArray, loudness: FloatArray) -> AudioSamples:
        """Return the audio with this pitch and loudness: float32 at 24 kHz, 300 samples for each of their values."""
        given = {
            _ALIGNED_FEATURES: phrase.features,
            _PITCH: pitch[None],
            _LOUDNESS: loudness[None],
            _STYLE: phrase.style,
        }
        (samples,) = self._decoder.run(None, given)
        return np.asarray(samples, np.float32).reshape(-1)


def _open(model: bytes, threads: int) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(model, session_options(threads), providers=["CPUExecutionProvider"])
