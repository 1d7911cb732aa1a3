"""The seam between the text engine and whatever computes logits.

Scheduler, prefix tree, sampling, stops and constraint know only this file. It knows nothing of requests.
Ownership: one thread (the step thread) calls `forward`, `attach`, `fork`, `trim`, `release`, `close`; `tokenise` and
the vocabulary may be used from any thread.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

Logits = NDArray[np.float32]


class ExecutorTraits(msgspec.Struct, frozen=True):
    """What an executor can do and how much it holds.

    `window`: tokens one sequence may hold. `cells`: tokens all sequences together may hold. `sequences`: ids
    0..sequences-1 exist. `batch`: tokens one `forward` takes at most. `shares_cells`: a fork costs no cells (one
    unified cache), else the fork's copy occupies its own. `can_trim`: `fork` and `trim` at any length work; where
    False (recurrent state, sliding window) a sequence can only grow or be released whole. `state`: the form of what
    `save` gives, in words, for what one executor saved in a form another of the same model and kernels restores in that
    form alone; empty: it can neither save nor restore. `adapters`: whether batches may name one.
    """

    window: int
    cells: int
    sequences: int
    batch: int
    shares_cells: bool
    can_trim: bool
    kv_format: str = ""
    adapters: bool = False


class InfillTokens(msgspec.Struct, frozen=True):
    """A model's fill-in-the-middle tokens, and those that end a hole (end of text, next file, …)."""

    prefix: int
    suffix: int
    middle: int
    end_tokens: tuple[int, ...]


class Vocabulary(msgspec.Struct, frozen=True):
    """The model's tokens. `pieces[id]` is the token's bytes (empty for control tokens). `ends` finish any answer.

    `start` is put before raw documents, None where the model wants none; `document` is the token an empty
    prompt begins with (start, else end of text). `special[id]` is a control token's name as templates write it.
    """

    size: int
    pieces: tuple[bytes, ...]
    end_tokens: frozenset[int]
    start_token: int | None
    document_token: int
    infill: InfillTokens | None
    special: Mapping[int, str]


class TokenBatch(msgspec.Struct, frozen=True):
    """Tokens to compute, by sequence, ids and positions ascending. Arrays of equal length N, but for `wanted`.

    `wanted` holds the ascending indices into the batch whose logits are to be returned (M of them). `adapter` is the
    one that changes the model for all of it (empty: none); a sequence's tokens are all computed with the same.
    """

    tokens: NDArray[np.int32]
    positions: NDArray[np.int32]
    sequences: NDArray[np.int32]
    logits_indices: NDArray[np.int32]
    adapter: str = ""


class Tokenizer(Protocol):
    """How a model reads text: the part of an executor that computes nothing."""

    @property
    def vocabulary(self) -> Vocabulary:
        """The model's tokens."""
        ...

    @property
    def metadata(self) -> Mapping[str, str]:
        """The model's own metadata, such as `tokenizer.chat_template` and `general.name`."""
        ...

    def tokenize(self, text: str, *, special: bool) -> list[int]:
        """Text to ids, no start or end added. `special` False reads control tokens' names as plain text."""
        ...


class Executor(Tokenizer, Protocol):
    """Computes logits and keeps the KV of sequences."""

    @property
    def traits(self) -> ExecutorTraits:
        """What it can do and how much it holds."""
        ...

    @property
    def kernels(self) -> str:
        """Which kernels compute, in words for `doctor` and `/v1/models`."""
        ...

    def forward(self, batch: TokenBatch) -> Logits:
        """Compute a batch; float32 rows (M, vocabulary) for `wanted`, valid until the next call.

        Raises EngineFailed when the kernels refuse the batch; the KV of its sequences is then unspecified.
        """
        ...

    def load_adapter(self, adapter: str, file: Path) -> None:
        """Load an adapter, so that batches may name it. Raises Unavailable where it does not fit the model."""
        ...

    def unload_adapter(self, adapter: str) -> None:
        """Free an adapter that no batch will name any more."""
        ...

    def prepare_length(self, n_tokens: int) -> None:
        """A sequence will be so long: what that needs may be made ready meanwhile. Returns at once."""
        ...

    def fork(self, source: int, target: int, n_tokens: int) -> None:
        """Make `target` (empty) begin with the first `n_tokens` of `source`."""
        ...

    def trim(self, sequence: int, n_tokens: int) -> None:
        """Keep only the first `n_tokens` of a sequence."""
        ...

    def release(self, sequences: Sequence[int]) -> None:
        """Empty these sequences."""
        ...

    def save(self, sequence: int) -> bytes:
        """A sequence's KV as bytes that mean something to the same model on the same kernels only."""
        ...

    def restore(self, sequence: int, state: bytes) -> None:
        """Make an empty sequence hold what was saved. Raises EngineFailed, the sequence left empty, where it cannot."""
        ...

    def close(self) -> None:
        """Free everything. Nothing else may be called afterwards."""
        ...
