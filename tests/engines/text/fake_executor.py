"""An executor without a model: logits are a pure function of a sequence's tokens, so tests can be exact.

It has a byte-level vocabulary plus control tokens, and a chat template. It checks its callers: positions are
contiguous, cells and window are never exceeded, fork targets are empty. A violation is an AssertionError "this is a
bug".
"""

import itertools
import json
import re
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from homeport.domain.errors import EngineFailed, Unavailable
from homeport.engines.text.assertions import require
from homeport.engines.text.executor import (
    ExecutorTraits,
    InfillTokens,
    Logits,
    TokenBatch,
    Vocabulary,
)
from homeport.engines.text.media.blocks import cut_outside
from homeport.engines.text.options import TextOptions

START, END, IM_START, IM_END, FIM_PREFIX, FIM_SUFFIX, FIM_MIDDLE = range(256, 263)
SPECIAL = {
    START: "<|start|>",
    END: "<|end|>",
    IM_START: "<|im_start|>",
    IM_END: "<|im_end|>",
    FIM_PREFIX: "<|fim_prefix|>",
    FIM_SUFFIX: "<|fim_suffix|>",
    FIM_MIDDLE: "<|fim_middle|>",
}
SIZE = 256 + len(SPECIAL)
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SCRIPTED = 60.0  # added to a scripted token's logit: e**60 times as likely
_MASK = (1 << 64) - 1
_NAMES = {name: token for token, name in SPECIAL.items()}
_SPLIT = re.compile("(" + "|".join(re.escape(name) for name in _NAMES) + ")")


def _pieces() -> tuple[bytes, ...]:
    return (*(bytes([byte]) for byte in range(256)), *(b"" for _ in SPECIAL))


def _logit_bias() -> NDArray[np.float32]:
    """Return a bias by which printable ASCII is likelier than other bytes, and answers do not end at once."""
    bias = np.zeros(SIZE, dtype=np.float32)
    bias[32:127] = 4.0
    bias[list(SPECIAL)] = -4.0
    bias[[END, IM_END]] = 2.0
    return bias


def media_rows(count: int) -> NDArray[np.float32]:
    """Return the embeddings that a block of `count` ids must have here."""
    return np.arange(count, dtype=np.float32).reshape(-1, 1)


def _initial_state(adapter: str) -> int:
    """Return the state before the first token."""
    return zlib.crc32(adapter.encode())


class FakeExecutor:
    """Deterministic logits (M, 263). `script` maps the end of a prompt to its answer (control tokens by name).

    `poison`: `forward` raises EngineFailed for a batch with a sequence that contains this text. An adapter's file is a
    script as JSON, which overrides the model's; all other logits depend on the adapter's name.
    """

    def __init__(
        self,
        traits: ExecutorTraits,
        *,
        script: Mapping[bytes, bytes] | None = None,
        poison: bytes | None = None,
    ) -> None:
        self._traits = traits
        self._script = dict(script or {})
        self._poison = poison
        self._adapters: dict[str, dict[bytes, bytes]] = {}
        self._adapter_of: dict[int, str] = {}  # the adapter of each sequence
        self._tokens: dict[int, list[int]] = {}
        self._hashes: dict[int, list[int]] = {}  # of each prefix of a sequence
        self._cells: dict[int, list[int]] = {}  # the cell of each token
        self._users: Counter[int] = Counter()
        self._next_cell = 0
        self._logit_bias = _logit_bias()
        self._salts = np.arange(1, SIZE + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        self.computed = 0  # tokens computed since the start
        self.forwards = 0

    @property
    def traits(self) -> ExecutorTraits:
        """Its features and sizes."""
        return self._traits

    @property
    def vocabulary(self) -> Vocabulary:
        """256 bytes and the control tokens."""
        infill = InfillTokens(FIM_PREFIX, FIM_SUFFIX, FIM_MIDDLE, (END,))
        return Vocabulary(SIZE, _pieces(), frozenset({END, IM_END}), START, START, infill, SPECIAL)

    @property
    def metadata(self) -> Mapping[str, str]:
        """A chat template like ChatML."""
        return {"general.name": "fake", "general.architecture": "fake", "tokenizer.chat_template": TEMPLATE}

    @property
    def tokenizer_pointers(self) -> None:
        """It has no native tokenizer."""

    @property
    def prompts(self) -> str:
        return ""

    @property
    def kernels(self) -> str:
        """A placeholder: it has no kernels."""
        return "fake"

    @property
    def device_bytes(self) -> int:
        """No memory of a GPU."""
        return 0

    @property
    def cells_used(self) -> int:
        """Cells in use."""
        return len(self._users)

    def tokenize(self, text: str, *, special: bool) -> list[int]:
        """Return the bytes as ids; with `special`, names of control tokens become these."""
        parts = _SPLIT.split(text) if special else [text]
        ids: list[int] = []
        for part in parts:
            ids.extend([_NAMES[part]] if special and part in _NAMES else part.encode())
        return ids

    def forward(self, batch: TokenBatch) -> Logits:
        """Compute a batch; return float32 rows (M, 263). Raises EngineFailed if the batch is poisoned."""
        size = len(batch.tokens)
        at_once = max((len(run.rows) for run in batch.media if not run.is_causal), default=0)
        require(0 < size <= self._traits.batch + at_once, f"a batch of {size} tokens")
        self._check_media(batch)
        require(len(batch.positions) == len(batch.sequences) == size, "arrays of unequal length")
        wanted = batch.logits_indices.tolist()
        require(wanted == sorted(set(wanted)), "logits indices must ascend")
        require(all(0 <= index < size for index in wanted), "logits indices are outside the batch")
        require(not batch.adapter or batch.adapter in self._adapters, "the adapter is not loaded")
        sequences = batch.sequences.tolist()
        changes = sum(left != right for left, right in itertools.pairwise(sequences))
        require(changes == len(set(sequences)) - 1, "tokens are not grouped by sequence")
        rows = np.empty((len(wanted), SIZE), dtype=np.float32)
        columns = zip(batch.tokens.tolist(), batch.positions.tolist(), sequences, strict=True)
        rank = {index: row for row, index in enumerate(wanted)}
        for index, (token, position, sequence) in enumerate(columns):
            self._append(sequence, token, position, batch.adapter)
            if index in rank:
                rows[rank[index]] = self._row(sequence)
        require(len(self._users) <= self._traits.cells, "more tokens than cells")
        self.computed += size
        self.forwards += 1
        if self._poison and any(self._poison in self._text(sequence) for sequence in set(sequences)):
            raise EngineFailed("the fake executor fails on this text")
        return rows

    def _check_media(self, batch: TokenBatch) -> None:
        """Check that each negative id has its embedding: its index in its block, as `media_rows` returns it."""
        require(self._traits.media or not batch.media, "this executor computes no embeddings")
        expected = np.full(len(batch.tokens), -1)
        for run in batch.media:
            require(bool((run.rows[:, 0] == run.offset + np.arange(len(run.rows))).all()), "the embeddings are others")
            # Its first embeddings may come from the cache, where they were computed with all others.
            require(run.is_causal or run.is_last, "a block is computed in parts")
            expected[run.first : run.stop] = batch.tokens[run.first : run.stop]
        require(bool((expected == np.where(batch.tokens < 0, batch.tokens, -1)).all()), "embeddings are missing")

    def load_adapter(self, adapter: str, file: Path) -> None:
        """Load an adapter's script. Raises Unavailable if the file has none."""
        require(self._traits.adapters, "this executor does not support adapters")
        require(adapter not in self._adapters, "the adapter was loaded twice")
        try:
            script = msgspec.json.decode(file.read_bytes() or b"{}", type=dict[str, str])
        except (OSError, msgspec.DecodeError) as error:
            raise Unavailable(f"The adapter {file.name} does not load: {error}.") from error
        self._adapters[adapter] = {ending.encode(): answer.encode() for ending, answer in script.items()}

    def unload_adapter(self, adapter: str) -> None:
        """Remove an adapter."""
        del self._adapters[adapter]

    def prepare_length(self, n_tokens: int) -> None:
        """Do nothing."""

    def fork(self, source: int, target: int, n_tokens: int) -> None:
        """Copy the first `n_tokens` of `source` into the empty sequence `target`."""
        require(self._traits.can_trim, "this executor cannot fork")
        require(not self._tokens.get(target), "the fork's target is in use")
        require(0 < n_tokens <= len(self._tokens[source]), "the fork's source is too short")
        self._check_cut(source, n_tokens)
        self._check_id(target)
        self._tokens[target] = self._tokens[source][:n_tokens]
        self._hashes[target] = self._hashes[source][:n_tokens]
        self._adapter_of[target] = self._adapter_of[source]
        shares = self._traits.shares_cells
        self._cells[target] = self._cells[source][:n_tokens] if shares else [self._cell() for _ in range(n_tokens)]
        self._users.update(self._cells[target])
        require(len(self._users) <= self._traits.cells, "more tokens than cells")

    def trim(self, sequence: int, n_tokens: int) -> None:
        """Keep only the first `n_tokens` of a sequence."""
        require(self._traits.can_trim or n_tokens == 0, "this executor cannot trim")
        require(n_tokens <= len(self._tokens[sequence]), "trimmed beyond its length")
        self._check_cut(sequence, n_tokens)
        self._cut(sequence, n_tokens)

    def release(self, sequences: Sequence[int]) -> None:
        """Empty these sequences."""
        for sequence in sequences:
            self._check_id(sequence)
            self._cut(sequence, 0)

    def save(self, sequence: int) -> bytes:
        """Return the tokens of a sequence."""
        require(bool(self._traits.kv_format), "this executor cannot save")
        return msgspec.msgpack.encode((self._adapter_of.get(sequence, ""), self._tokens.get(sequence, [])))

    def restore(self, sequence: int, state: bytes) -> None:
        """Load saved tokens into an empty sequence. Raises EngineFailed for other content."""
        require(bool(self._traits.kv_format), "this executor cannot restore")
        require(not self._tokens.get(sequence), "the restored sequence is in use")
        try:
            adapter, tokens = msgspec.msgpack.decode(state, type=tuple[str, list[int]])
        except msgspec.DecodeError as error:
            raise EngineFailed("Invalid saved sequence.") from error
        for position, token in enumerate(tokens):
            self._append(sequence, token, position, adapter)
        require(len(self._users) <= self._traits.cells, "more tokens than cells")

    def close(self) -> None:
        """Free everything."""
        self._tokens.clear()
        self._hashes.clear()
        self._cells.clear()
        self._users.clear()

    def next_logits(self, tokens: Sequence[int], adapter: str = "") -> Logits:
        """Return the float32 row (263,) after these tokens, computed directly; any batching must give the same."""
        state = _initial_state(adapter)
        for token in tokens:
            state = self._mix(state, token)
        return self._logits(list(tokens), state, adapter)

    def _check_id(self, sequence: int) -> None:
        require(0 <= sequence < self._traits.sequences, f"there is no sequence {sequence}")

    def _check_cut(self, sequence: int, n_tokens: int) -> None:
        is_outside = cut_outside(self._tokens[sequence], n_tokens) == n_tokens
        require(self._traits.cuts_media or is_outside, "a block was cut")

    def _cell(self) -> int:
        self._next_cell += 1
        return self._next_cell

    def _append(self, sequence: int, token: int, position: int, adapter: str) -> None:
        self._check_id(sequence)
        require(token < SIZE and (token >= 0 or self._traits.media), f"there is no token {token}")
        tokens = self._tokens.setdefault(sequence, [])
        hashes = self._hashes.setdefault(sequence, [])
        require(position == len(tokens), f"position {position} after {len(tokens)} tokens")
        require(position < self._traits.window, "a sequence outgrew the window")
        if not position:
            self._adapter_of[sequence] = adapter
        require(self._adapter_of[sequence] == adapter, "a sequence's tokens are computed with two adapters")
        hashes.append(self._mix(hashes[-1] if hashes else _initial_state(adapter), token))
        tokens.append(token)
        cell = self._cell()
        self._cells.setdefault(sequence, []).append(cell)
        self._users[cell] += 1

    def _cut(self, sequence: int, n_tokens: int) -> None:
        cells = self._cells.get(sequence, [])
        for cell in cells[n_tokens:]:
            self._users[cell] -= 1
            if not self._users[cell]:
                del self._users[cell]
        for run in (cells, self._tokens.get(sequence, []), self._hashes.get(sequence, [])):
            del run[n_tokens:]

    @staticmethod
    def _mix(state: int, token: int) -> int:
        """Fold a token into a 64-bit hash. Source: the finalizer of SplitMix64 (Steele et al. 2014)."""
        mixed = (state + token + 0x9E3779B97F4A7C15) & _MASK
        mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
        return mixed ^ (mixed >> 31)

    def _row(self, sequence: int) -> Logits:
        return self._logits(self._tokens[sequence], self._hashes[sequence][-1], self._adapter_of[sequence])

    def _logits(self, tokens: list[int], state: int, adapter: str) -> Logits:
        noise = self._salts ^ np.uint64(state)
        noise = (noise ^ (noise >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        noise ^= noise >> np.uint64(29)
        logits = (noise >> np.uint64(40)).astype(np.float32) * np.float32(8.0 / 2**24) + self._logit_bias
        script = self._script | self._adapters.get(adapter, {})
        scripted = self._next_scripted_token(tokens, script) if script else None
        if scripted is not None:
            logits[scripted] += np.float32(SCRIPTED)
        return logits

    @staticmethod
    def _decode(tokens: Sequence[int]) -> bytes:
        return b"".join(SPECIAL[token].encode() if token >= 256 else bytes([token]) for token in tokens if token >= 0)

    def _text(self, sequence: int) -> bytes:
        return self._decode(self._tokens[sequence])

    def _next_scripted_token(self, tokens: list[int], script: Mapping[bytes, bytes]) -> int | None:
        """Return the script's next token for the longest matching prompt ending; None if none matches."""
        text = self._decode(tokens)
        best: tuple[int, int] | None = None
        for ending, answer in script.items():
            sent = next((n for n in range(len(answer), -1, -1) if text.endswith(ending + answer[:n])), None)
            if sent is not None and (best is None or len(ending) + sent > best[0]):
                best = (len(ending) + sent, answer[sent] if sent < len(answer) else IM_END)
        return best[1] if best else None


class FakeOptions(msgspec.Struct, frozen=True):
    """`script`: a JSON object of prompt endings and answers. `poison`: text that breaks a step. The rest are traits."""

    script: str = "{}"
    poison: str | None = None
    can_trim: bool = True
    kv_format: str = "tokens"
    adapters: bool = True
    media: bool = False
    cuts_media: bool = True


def build_fake(options: TextOptions, fake: FakeOptions) -> FakeExecutor:
    """Build a fake executor of the size that the text engine's options define."""
    window = options.window or 2048
    cells = options.cells or 4 * window
    shares = options.kv != "streams"
    traits = ExecutorTraits(
        *(window, cells, options.sequences, options.batch, shares, fake.can_trim, fake.kv_format, fake.adapters),
        media=fake.media,
        cuts_media=fake.cuts_media,
    )
    script = {ending.encode(): answer.encode() for ending, answer in json.loads(fake.script).items()}
    return FakeExecutor(traits, script=script, poison=fake.poison.encode() if fake.poison else None)
