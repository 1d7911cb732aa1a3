"""The interface between the text engine and what computes logits.

All other modules of the engine use an executor through it. It knows nothing of requests.
Threads: only the step thread calls `forward`, `load_adapter`, `unload_adapter`, `prepare_length`, `fork`, `trim`,
`release`, `save`, `restore` and `close`; any thread may use `tokenize` and the vocabulary.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from homeport.domain.models import CPU

Logits = NDArray[np.float32]


class ExecutorTraits(msgspec.Struct, frozen=True):
    """An executor's features and sizes.

    `window`: maximum tokens of one sequence. `cells`: maximum tokens of all sequences together. `sequences`: ids
    0..sequences-1 exist. `batch`: maximum tokens of one `forward`. `shares_cells`: a fork costs no cells (one unified
    cache); otherwise the copy uses its own. `can_trim`: `fork` and `trim` work at any length; if False (recurrent
    state, sliding window), a sequence can only grow or be released whole. `kv_format`: describes the format of what
    `save` returns, which only an executor of the same model, kernels and format can restore; empty: it can neither save
    nor restore. `adapters`: whether batches may name an adapter. `device`: where the model is: `cpu`, or GPUs by name
    and the number of layers there. `media`: whether batches may have embeddings; `cuts_media`: whether a sequence
    can be cut between those of one block. `media_width`: the values of an embedding.
    """

    window: int
    cells: int
    sequences: int
    batch: int
    shares_cells: bool
    can_trim: bool
    kv_format: str = ""
    adapters: bool = False
    device: str = CPU
    media: bool = False
    cuts_media: bool = True
    media_width: int = 0


class InfillTokens(msgspec.Struct, frozen=True):
    """A model's fill-in-the-middle tokens, and those that end the middle (end of text, next file, …)."""

    prefix: int
    suffix: int
    middle: int
    end_tokens: tuple[int, ...]


class Vocabulary(msgspec.Struct, frozen=True):
    """The model's tokens. `pieces[id]` holds a token's bytes (empty for control tokens). `end_tokens` end any answer.

    `start_token` precedes raw documents, None if the model uses none; `document_token` is the token an empty prompt
    begins with (start, else end of text). `special[id]` is a control token's name as templates write it.
    """

    size: int
    pieces: tuple[bytes, ...]
    end_tokens: frozenset[int]
    start_token: int | None
    document_token: int
    infill: InfillTokens | None
    special: Mapping[int, str]


class TokenizerPointers(msgspec.Struct, frozen=True):
    """Addresses through which native code tokenizes: llama.cpp's vocabulary and its function `llama_tokenize`.

    They are valid until the executor is closed.
    """

    vocabulary: int
    tokenize: int


class MediaRun(NamedTuple):
    """Embeddings in a batch in place of tokens, from the index `first` on: `rows` (n, width) float32, one sequence.

    They are the rows of a block from `offset` on, of which all take `n_positions` positions. `is_last`: the block ends
    with them. `is_causal` False: each attends to all of the block, so they end it. `grid` (n, 4) int32: their
    positions relative to the block's first one; None: in order.
    """

    first: int
    rows: NDArray[np.float32]
    offset: int
    n_positions: int
    is_last: bool
    is_causal: bool = True
    grid: NDArray[np.int32] | None = None

    @property
    def stop(self) -> int:
        """The index after the last one."""
        return self.first + len(self.rows)


class TokenBatch(msgspec.Struct, frozen=True):
    """Tokens to compute, grouped by sequence, ids and positions ascending. All arrays but the last have length N.

    `positions` count the tokens of the sequence. `tokens` are negative where `media` has embeddings.
    `logits_indices` holds the ascending indices into the batch whose logits are returned (M of them). `adapter` is the
    adapter used for the whole batch (empty: none); all tokens of a sequence are computed with the same one.
    """

    tokens: NDArray[np.int32]
    positions: NDArray[np.int32]
    sequences: NDArray[np.int32]
    logits_indices: NDArray[np.int32]
    adapter: str = ""
    media: tuple[MediaRun, ...] = ()


class Tokenizer(Protocol):
    """The part of an executor that converts text to token ids and computes nothing."""

    @property
    def vocabulary(self) -> Vocabulary:
        """The model's tokens."""
        ...

    @property
    def metadata(self) -> Mapping[str, str]:
        """The model's own metadata, such as `tokenizer.chat_template` and `general.name`."""
        ...

    def tokenize(self, text: str, *, special: bool) -> list[int]:
        """Return the ids of a text, without a start or end token. `special` False: names of control tokens are text."""
        ...


class NativeTokenizer(Tokenizer, Protocol):
    """The part of an executor that native code may use to tokenize, too."""

    @property
    def tokenizer_pointers(self) -> TokenizerPointers | None:
        """The addresses of its native tokenizer; None if it has none."""
        ...


class KVMemory(Protocol):
    """The part of an executor that stores the KV of sequences."""

    @property
    def traits(self) -> ExecutorTraits:
        """Its features and sizes."""
        ...

    def fork(self, source: int, target: int, n_tokens: int) -> None:
        """Copy the first `n_tokens` of `source` into the empty sequence `target`."""
        ...

    def trim(self, sequence: int, n_tokens: int) -> None:
        """Keep only the first `n_tokens` of a sequence."""
        ...

    def release(self, sequences: Sequence[int]) -> None:
        """Empty these sequences."""
        ...


class KVSerializer(Protocol):
    """The part of an executor that saves and restores KV."""

    def save(self, sequence: int) -> bytes:
        """Return a sequence's KV as bytes, valid only for the same model on the same kernels."""
        ...

    def restore(self, sequence: int, state: bytes) -> None:
        """Load saved KV into an empty sequence. Raises EngineFailed if it cannot; the sequence is then empty."""
        ...


class AdapterHost(Protocol):
    """The part of an executor that holds adapters."""

    def load_adapter(self, adapter: str, file: Path) -> None:
        """Load an adapter, so that batches may name it. Raises Unavailable if it does not fit the model."""
        ...

    def unload_adapter(self, adapter: str) -> None:
        """Free an adapter that no later batch names."""
        ...


class Executor(NativeTokenizer, KVMemory, KVSerializer, AdapterHost, Protocol):
    """Computes logits and stores the KV of sequences."""

    @property
    def kernels(self) -> str:
        """A description of its kernels for `doctor` and `/v1/models`."""
        ...

    @property
    def prompts(self) -> str:
        """What computes prompts and several streams now, if not the same kernels; else empty."""
        ...

    @property
    def device_bytes(self) -> int:
        """The memory that it takes on GPUs now; 0 on a CPU."""
        ...

    def forward(self, batch: TokenBatch) -> Logits:
        """Compute a batch; return float32 rows (M, vocabulary) for `logits_indices`, valid until the next call.

        Raises EngineFailed if the kernels refuse the batch; the KV of its sequences is then unspecified.
        """
        ...

    def prepare_length(self, n_tokens: int) -> None:
        """Announce that a sequence will have this length, so that it can be prepared for. Returns at once."""
        ...

    def close(self) -> None:
        """Free everything. No other method may be called afterwards."""
        ...
