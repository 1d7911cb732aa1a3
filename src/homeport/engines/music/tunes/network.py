"""The composer's network in numpy: one step at a time, with the keys and values of earlier steps kept.

Made for one core and few numbers: a step takes well under a millisecond, so no runtime is needed. Knows nothing of
tunes, masks and sampling.
"""

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from homeport.domain.errors import EngineFailed
from homeport.engines.music.tunes.layout import ECHOES, NoteToken, Vocabulary

Numbers = NDArray[np.float32]
WINDOW = 256  # steps that attention sees, as in training
CONFIGURATION = "configuration"
_EPSILON = 1e-5
_BASE = 10_000.0  # of the rotary positions
_STEPS, _HEADINGS = 4 + len(ECHOES), 3


@dataclass(frozen=True, slots=True)
class Block:
    """The weights of one block, each (inputs, outputs), and the scales before attention and before the hidden layer."""

    before_attention: Numbers
    read: Numbers
    joined: Numbers
    before_hidden: Numbers
    widen: Numbers
    narrow: Numbers


@dataclass(frozen=True, slots=True)
class TuneModel:
    """A loaded model file. `steps` and `headings`: the tables whose rows are added up; the first also scores tokens."""

    vocabulary: Vocabulary
    heads: int
    steps: tuple[Numbers, ...]
    headings: tuple[Numbers, ...]
    blocks: tuple[Block, ...]
    last: Numbers


def load(path: Path) -> TuneModel:
    """Load a model file, as `recipes.tunes.export` writes it. Raises EngineFailed if it is missing or damaged."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as opened:
            configuration = json.loads(opened[CONFIGURATION].tobytes())
            weights = {name: opened[name].astype(np.float32) for name in opened.files if name != CONFIGURATION}
        notes = [NoteToken(*note) for note in configuration["notes"]]
        return TuneModel(
            vocabulary=Vocabulary(configuration["upbeats"], notes),
            heads=configuration["heads"],
            steps=tuple(weights[f"steps.{index}.weight"] for index in range(_STEPS)),
            headings=tuple(weights[f"headings.{index}.weight"] for index in range(_HEADINGS)),
            blocks=tuple(_block(weights, f"blocks.{index}.") for index in range(configuration["layers"])),
            last=weights["last.weight"],
        )
    except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise EngineFailed(f"{path.name} is not a composer's model: {error}. Install the model again.") from error


def _block(weights: dict[str, Numbers], start: str) -> Block:
    def matrix(name: str) -> Numbers:
        return np.ascontiguousarray(weights[f"{start}{name}.weight"].T)

    return Block(
        weights[f"{start}before_attention.weight"],
        matrix("read"),
        matrix("joined"),
        weights[f"{start}before_hidden.weight"],
        matrix("widen"),
        matrix("narrow"),
    )


def _normalized(values: Numbers, scale: Numbers) -> Numbers:
    normalized: Numbers = values * (scale / np.sqrt(np.mean(values * values) + np.float32(_EPSILON)))
    return normalized


class Decoder:
    """One sequence: takes a token with its place, returns the scores of the next token."""

    def __init__(self, model: TuneModel, heading: tuple[int, int, int]) -> None:
        self._model = model
        self._heading = sum((table[index] for table, index in zip(model.headings, heading, strict=True)), np.float32(0))
        width = len(model.last)
        self._size = width // model.heads
        self._frequencies = _BASE ** (-np.arange(0, self._size, 2) / self._size)
        shape = (len(model.blocks), 2, model.heads, 2 * WINDOW, self._size)
        self._kept = np.zeros(shape, np.float32)  # keys and values
        self._end = 0  # of what is kept
        self._position = 0

    def step(self, token: int, place: tuple[int, ...]) -> Numbers:
        """Return the scores (tokens,) that follow `token`; `place`: the place after it and the echoes there."""
        if self._end == 2 * WINDOW:
            self._kept[:, :, :, :WINDOW] = self._kept[:, :, :, WINDOW:].copy()
            self._end = WINDOW
        angles = self._position * self._frequencies
        turns = np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)
        state = self._heading + self._model.steps[0][token]
        for table, index in zip(self._model.steps[1:], place, strict=True):
            state = state + table[index]
        for number, block in enumerate(self._model.blocks):
            state = state + self._attended(number, block, state, turns)
            hidden = np.maximum(_normalized(state, block.before_hidden) @ block.widen, 0)
            state = state + (hidden * hidden) @ block.narrow
        self._end += 1
        self._position += 1
        scores: Numbers = self._model.steps[0] @ _normalized(state, self._model.last)
        return scores

    def _attended(self, number: int, block: Block, state: Numbers, turns: tuple[Numbers, Numbers]) -> Numbers:
        parts = (_normalized(state, block.before_attention) @ block.read).reshape(3, self._model.heads, self._size)
        kept, start, end = self._kept[number], max(self._end + 1 - WINDOW, 0), self._end + 1
        kept[0, :, self._end] = _turned(parts[1], turns)
        kept[1, :, self._end] = parts[2]
        keys, contents = kept[0, :, start:end], kept[1, :, start:end]
        scores = (keys @ _turned(parts[0], turns)[:, :, None])[:, :, 0] / np.float32(np.sqrt(self._size))
        shares = np.exp(scores - scores.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        mixed = (shares[:, None, :] @ contents)[:, 0, :]
        joined: Numbers = mixed.reshape(-1) @ block.joined
        return joined


def _turned(values: Numbers, turns: tuple[Numbers, Numbers]) -> Numbers:
    """Turn the halves of (heads, size) by a position."""
    half = values.shape[1] // 2
    first, second = values[:, :half], values[:, half:]
    cosines, sines = turns
    return np.concatenate([first * cosines - second * sines, first * sines + second * cosines], axis=1)
