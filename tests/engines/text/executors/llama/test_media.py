"""Tests of embeddings in batches, compared with llama.cpp called directly, on tiny models with random weights."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from homeport.domain.errors import EngineFailed
from homeport.engines.llama.library import kernels
from homeport.engines.llama.model import LlamaModel
from homeport.engines.text.executor import MediaRun, TokenBatch
from homeport.engines.text.executors.llama.executor import LlamaExecutor, LlamaOptions, load
from homeport.engines.text.media.blocks import MediaBlock, media_ids
from tests.samples import tiny_decoders

ROWS, COLUMNS = 3, 4
BEFORE, BETWEEN, AFTER = [5, 6, 7, 8], [9, 10], [11, 12, 13, 14, 15]
TOLERANCE = 1e-3
"""Of logits, whose standard deviation is about 10."""

Item = list[int] | MediaBlock


class Call(NamedTuple):
    """One call of llama.cpp: tokens or embeddings (n, width), and their positions, (n) or four times."""

    content: list[int] | NDArray[np.float32]
    positions: NDArray[np.int32]
    is_causal: bool = True


@pytest.fixture(scope="module", params=["llama", "qwen2vl"])
def family(request: pytest.FixtureRequest) -> str:
    """An architecture with ordinary positions, and one whose positions have four parts."""
    return str(request.param)


@pytest.fixture(scope="module")
def weights(family: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model's file."""
    return tiny_decoders.decoder(tmp_path_factory.mktemp("models") / f"{family}.gguf", family)


@pytest.fixture(scope="module", params=["unified", "streams"])
def model(weights: Path, request: pytest.FixtureRequest) -> Iterator[LlamaExecutor]:
    """The model with room for four sequences, computed at most 8 tokens at a time, in both layouts of the KV."""
    options = LlamaOptions(window=256, cells=1024, sequences=4, batch=64, threads=1, kv=request.param, gpu_layers=0)
    executor = load(weights, options)
    yield executor
    executor.close()


def block(family: str, seed: int = 1, *, is_causal: bool = True) -> MediaBlock:
    """Return a block of twelve random embeddings, which take four positions if these have four parts."""
    count = ROWS * COLUMNS
    rows = np.random.default_rng(seed).normal(0, 1, (count, tiny_decoders.WIDTH)).astype(np.float32)
    grid = np.array([(0, row, column, 0) for row in range(ROWS) for column in range(COLUMNS)], np.int32)
    has_grid = family == "qwen2vl"
    ids = media_ids(seed.to_bytes(1, "big"), count)
    return MediaBlock(ids, COLUMNS if has_grid else count, is_causal, grid if has_grid else None, rows)


def expected(weights: Path, items: Sequence[Item]) -> NDArray[np.float32]:
    """Return the last token's logits as llama.cpp computes them, called item by item with the positions it wants."""
    calls, position = [], 0
    for item in items:
        if isinstance(item, list):
            calls.append(Call(item, np.arange(position, position + len(item), dtype=np.int32)))
            position += len(item)
            continue
        assert item.rows is not None
        places = np.arange(position, position + len(item.rows), dtype=np.int32)
        if item.grid is not None:
            places = (item.grid + np.array([position] * 3 + [0])).T.reshape(-1).astype(np.int32)
        calls.append(Call(item.rows, places, item.is_causal))
        position += item.n_positions
    return _decode(weights, calls)


def _decode(weights: Path, calls: Sequence[Call]) -> NDArray[np.float32]:
    library = kernels(None)
    api, ffi, model = library.api, library.ffi, LlamaModel(library, weights, 0)
    params = api.llama_context_default_params()
    params.n_ctx, params.n_threads, params.n_threads_batch = 256, 1, 1
    context = api.llama_init_from_model(model.handle, params)
    try:
        for call in calls:
            count = len(call.content)
            batch = ffi.new("llama_batch *", {"n_tokens": count})
            ids, rows = ffi.new("llama_token[]", count), np.ascontiguousarray(call.content, np.float32)
            if isinstance(call.content, list):
                ids[0:count] = call.content
                batch.token = ids
            else:
                batch.embd = ffi.from_buffer("float[]", rows)
            sequence = ffi.new("int32_t[]", [0])
            arrays = (
                ffi.new("int32_t[]", call.positions.tolist()),
                ffi.new("int32_t[]", [1] * count),
                ffi.new("int32_t *[]", [sequence] * count),
                ffi.new("int8_t[]", [0] * (count - 1) + [1]),
            )
            batch.pos, batch.n_seq_id, batch.seq_id, batch.logits = arrays
            api.llama_set_causal_attn(context, call.is_causal)
            assert api.llama_decode(context, batch[0]) == 0
        logits = api.llama_get_logits(context)
        size = api.llama_vocab_n_tokens(api.llama_model_get_vocab(model.handle))
        return np.frombuffer(ffi.buffer(logits, 4 * size), np.float32).copy()
    finally:
        api.llama_free(context)
        model.close()


def batch(parts: Sequence[tuple[int, int, Sequence[Item]]]) -> TokenBatch:
    """Return a batch of (sequence, tokens before, items); the last logits of each part are wanted."""
    columns: list[list[int]] = [[], [], [], []]
    tokens, places, sequences, wanted = columns
    media = []
    for sequence, before, items in parts:
        start = len(tokens)
        for item in items:
            if isinstance(item, MediaBlock):
                assert item.rows is not None
                is_causal, grid = item.is_causal, item.grid
                media.append(MediaRun(len(tokens), item.rows, 0, item.n_positions, True, is_causal, grid))
            tokens += item.ids if isinstance(item, MediaBlock) else item
        places += range(before, before + len(tokens) - start)
        sequences += [sequence] * (len(tokens) - start)
        wanted.append(len(tokens) - 1)
    ids, positions, owners, rows = (np.array(column, np.int32) for column in columns)
    return TokenBatch(ids, positions, owners, rows, media=tuple(media))


@pytest.fixture(autouse=True)
def emptied(model: LlamaExecutor) -> Iterator[None]:
    """Empty the sequences after a test."""
    yield
    model.release(range(4))


@pytest.mark.parametrize("is_causal", [True, False])
def test_embeddings_are_computed_as_llama_cpp_computes_them(
    model: LlamaExecutor, weights: Path, family: str, is_causal: bool
) -> None:
    """Several sequences of one batch, with no, one and two blocks, each give the logits of the direct calls."""
    one, two = (block(family, seed, is_causal=is_causal) for seed in (1, 2))
    prompts: list[list[Item]] = [[BEFORE, one, AFTER], [BEFORE, AFTER], [two, BETWEEN, one, AFTER]]
    logits = model.forward(batch([(at, 0, items) for at, items in enumerate(prompts)]))
    for row, items in zip(logits, prompts, strict=True):
        np.testing.assert_allclose(row, expected(weights, items), atol=TOLERANCE)


def test_causality_matters(weights: Path, family: str) -> None:
    """Embeddings that attend to all of their block give other logits, so that the tests above can fail."""
    logits = [expected(weights, [BEFORE, block(family, is_causal=each), AFTER]) for each in (True, False)]
    assert float(np.abs(logits[0] - logits[1]).max()) > 100 * TOLERANCE


def test_a_block_may_be_cut_into_steps(model: LlamaExecutor, weights: Path, family: str) -> None:
    """The parts of a causal block may be computed in different steps."""
    whole = block(family)
    assert whole.rows is not None
    tokens = [*BEFORE, *whole.ids, *AFTER]
    logits = np.empty(0)
    for start, stop in ((0, 6), (6, 13), (13, len(tokens))):
        first, last = max(start - len(BEFORE), 0), min(stop - len(BEFORE), len(whole.ids))
        media = []
        if first < last:
            part = slice(first, last)
            grid = None if whole.grid is None else whole.grid[part]
            at = max(len(BEFORE) - start, 0)
            is_last = last == len(whole.ids)
            media.append(MediaRun(at, whole.rows[part], first, whole.n_positions, is_last, True, grid))
        size = stop - start
        columns = (tokens[start:stop], range(start, stop), [0] * size, [size - 1])
        ids, positions, sequences, wanted = (np.array(column, np.int32) for column in columns)
        logits = model.forward(TokenBatch(ids, positions, sequences, wanted, media=tuple(media)))[0].copy()
    np.testing.assert_allclose(logits, expected(weights, [BEFORE, whole, AFTER]), atol=TOLERANCE)


def test_what_follows_a_block_can_be_forked_cut_and_saved(model: LlamaExecutor, weights: Path, family: str) -> None:
    """Forks, cuts after and before a block, and saved sequences continue at the right positions."""
    whole = block(family)
    size = len(BEFORE) + len(whole.ids)
    model.forward(batch([(0, 0, [BEFORE, whole, AFTER])]))
    model.fork(0, 1, size + 2)
    state = model.save(0)
    model.restore(2, state)
    model.trim(2, size)
    model.trim(0, len(BEFORE))
    parts: list[tuple[int, int, Sequence[Item]]] = [
        (0, len(BEFORE), [BETWEEN]),
        (1, size + 2, [BETWEEN]),
        (2, size, [BETWEEN]),
    ]
    logits = model.forward(batch(parts))
    prompts: list[list[Item]] = [
        [BEFORE, BETWEEN],
        [BEFORE, whole, AFTER[:2], BETWEEN],
        [BEFORE, whole, BETWEEN],
    ]
    for row, items in zip(logits, prompts, strict=True):
        np.testing.assert_allclose(row, expected(weights, items), atol=TOLERANCE)


def test_a_block_that_is_too_large_to_be_computed_at_once_fails(model: LlamaExecutor, family: str) -> None:
    """A block whose embeddings attend to each other is never cut."""
    large = block(family, is_causal=False)
    assert large.rows is not None
    large.rows = np.concatenate([large.rows] * 6)
    large.ids *= 6
    large.grid = None if large.grid is None else np.concatenate([large.grid] * 6)
    with pytest.raises(EngineFailed, match="72 embeddings"):
        model.forward(batch([(0, 0, [large, AFTER])]))
