"""What stands for a picture or a sound in a prompt: blocks of embeddings at negative token ids.

The ids of a block come from the hash of its content, so prefixes of prompts can be compared, kept and stored as lists
of ids whatever they stand for. Knows nothing of files, processes or executors.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_ID_BYTES = 4


@dataclass(eq=False, slots=True)
class MediaBlock:
    """Embeddings that follow each other. `rows` (K, width) float32: None until they are needed.

    `ids`: K negative ids. `n_positions`: the positions that the block takes. `is_causal`: whether each embedding
    attends only to those before it. `grid` (K, 4) int32: their positions relative to the first one's; None: in order.
    """

    ids: tuple[int, ...]
    n_positions: int
    is_causal: bool = True
    grid: NDArray[np.int32] | None = None
    rows: NDArray[np.float32] | None = None


class PlacedBlock(NamedTuple):
    """A block in a prompt: the index of its first id, and the block."""

    start: int
    block: MediaBlock

    @property
    def stop(self) -> int:
        """The index after its last id."""
        return self.start + len(self.block.ids)


class MediaContent(NamedTuple):
    """What stands for one picture or sound: tokens of the vocabulary and blocks, in order."""

    parts: tuple[tuple[int, ...] | MediaBlock, ...]

    @property
    def blocks(self) -> list[MediaBlock]:
        """The blocks in order."""
        return [part for part in self.parts if isinstance(part, MediaBlock)]

    @property
    def ids(self) -> list[int]:
        """All ids in order."""
        return [id for part in self.parts for id in (part.ids if isinstance(part, MediaBlock) else part)]


def media_ids(content: bytes, count: int) -> tuple[int, ...]:
    """Return `count` negative ids of 32 bits for a content: the same for the same, and others for any other."""
    stream = hashlib.shake_256(content).digest(count * _ID_BYTES)
    numbers = np.frombuffer(stream, "<u4").astype(np.int64) & 0x7FFFFFFF
    return tuple((-1 - numbers).tolist())


def cut_outside(tokens: Sequence[int], length: int) -> int:
    """Return `length`, or less so that `tokens` are not cut between two ids of media."""
    while 0 < length < len(tokens) and tokens[length - 1] < 0 and tokens[length] < 0:
        length -= 1
    return length
