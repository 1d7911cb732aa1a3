"""Logits do not depend on batching or on the origin of a prefix; cells are freed; errors are clear.

Kernels round differently by batch size: SmolLM2's logits have a standard deviation of 5.5, and one batch of 93 tokens
against batches of 17, 4 or 1 differs by 0.23 on average and 1.6 at most (AVX2). Batches of up to 17 were bit-identical
to each other. A prefix one token short shows as 0.61 on average, a wrong one as 4.3: hence `NEAR` on the average.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from homeport.domain.errors import EngineFailed, Unavailable
from homeport.engines.llama.library import kernels
from homeport.engines.text.executor import Logits, TokenBatch
from homeport.engines.text.executors.llama.context import NO_CELLS
from homeport.engines.text.executors.llama.executor import LlamaExecutor, LlamaOptions, load
from homeport.engines.text.executors.llama.kv_sizing import Kv

NEAR = 0.35
LENGTHS = {2: 31, 0: 7, 3: 60}
"""Tokens of some sequences in one batch."""

TEXT = "The quick brown fox jumps over the lazy dog. In the beginning, people told one another stories. " * 3

Open = Callable[..., LlamaExecutor]
Build = Callable[..., TokenBatch]


def distance(found: Logits, expected: Logits) -> float:
    """Return the mean distance between logits."""
    return float(np.abs(found - expected).mean())


def prompt(executor: LlamaExecutor) -> list[int]:
    """61 tokens of plain English."""
    return executor.tokenize(TEXT, special=False)


@pytest.fixture(params=["unified", "streams"])
def kv(request: pytest.FixtureRequest) -> Kv:
    """The layout of the KV."""
    layout: Kv = request.param
    return layout


def test_slices_agree_with_one_batch(smol: Open, batch: Build, kv: Kv) -> None:
    """A prompt computed in slices has the logits of one batch, row for row."""
    executor = smol(kv=kv)
    ids = prompt(executor)
    whole = executor.forward(batch(ids)).copy()
    assert whole.shape == (len(ids), executor.vocabulary.size)
    slices = [executor.forward(batch(ids[at : at + 17], sequence=1, start=at)).copy() for at in range(0, len(ids), 17)]
    assert distance(np.concatenate(slices), whole) < NEAR


def test_forked_prefix_agrees(smol: Open, batch: Build, kv: Kv) -> None:
    """A sequence that begins with another's prefix continues as if it had computed it."""
    executor = smol(kv=kv)
    ids = prompt(executor)
    half = len(ids) // 2
    whole = executor.forward(batch(ids)).copy()
    executor.fork(0, 2, half)
    assert distance(executor.forward(batch(ids[half:], sequence=2, start=half)), whole[half:]) < NEAR


def test_wrong_prefix_is_detected(smol: Open, batch: Build) -> None:
    """The tolerance is tight enough to detect another prefix of the same length."""
    executor = smol()
    ids = prompt(executor)
    half = len(ids) // 2
    whole = executor.forward(batch(ids)).copy()
    executor.forward(batch(ids[1 : half + 1], sequence=1))
    assert distance(executor.forward(batch(ids[half:], sequence=1, start=half)), whole[half:]) > NEAR


def test_fork_outlives_its_source(smol: Open, batch: Build, kv: Kv) -> None:
    """Releasing the source and reusing it leaves a fork unchanged."""
    executor = smol(kv=kv)
    ids = prompt(executor)
    half = len(ids) // 2
    whole = executor.forward(batch(ids)).copy()
    executor.fork(0, 3, half)
    executor.release([0])
    executor.forward(batch(ids[::-1]))
    assert distance(executor.forward(batch(ids[half:], sequence=3, start=half)), whole[half:]) < NEAR


def test_forks_of_forks_agree(smol: Open, batch: Build, kv: Kv) -> None:
    """A fork can be forked before anything is computed in it."""
    executor = smol(kv=kv)
    ids = prompt(executor)
    whole = executor.forward(batch(ids)).copy()
    executor.fork(0, 1, 40)
    executor.fork(1, 2, 20)
    assert distance(executor.forward(batch(ids[20:], sequence=2, start=20)), whole[20:]) < NEAR


def test_trimmed_sequence_continues(smol: Open, batch: Build, kv: Kv) -> None:
    """Tokens after a trim are computed on the tokens that are kept."""
    executor = smol(kv=kv)
    ids = prompt(executor)
    whole = executor.forward(batch(ids)).copy()
    executor.forward(batch(ids[:30] + ids[::-1], sequence=1))
    executor.trim(1, 30)
    assert distance(executor.forward(batch(ids[30:], sequence=1, start=30)), whole[30:]) < NEAR


def test_sequences_in_one_batch_do_not_mix(smol: Open, batch: Build, kv: Kv) -> None:
    """Several sequences of different lengths in one batch each get the logits they get alone, in their order."""
    executor = smol(kv=kv)
    ids = prompt(executor)
    whole = executor.forward(batch(ids)).copy()
    executor.release([0])
    parts = [batch(ids[:length], sequence=sequence) for sequence, length in LENGTHS.items()]
    ends = np.cumsum(list(LENGTHS.values())) - 1
    rows = executor.forward(
        TokenBatch(
            tokens=np.concatenate([part.tokens for part in parts]),
            positions=np.concatenate([part.positions for part in parts]),
            sequences=np.concatenate([part.sequences for part in parts]),
            logits_indices=ends.astype(np.int32),
        )
    )
    assert rows.shape[0] == len(LENGTHS)
    for row, length in zip(rows, LENGTHS.values(), strict=True):
        assert distance(row, whole[length - 1]) < NEAR


def test_logits_are_not_copied(smol: Open, batch: Build) -> None:
    """Rows are a view of llama.cpp's buffer, and only the requested ones."""
    executor = smol()
    rows = executor.forward(batch(prompt(executor), last=True))
    assert rows.shape == (1, executor.vocabulary.size)
    assert rows.dtype == np.float32
    assert not rows.flags.owndata
    token, position, sequence = (np.array([value], np.int32) for value in (5, len(prompt(executor)), 0))
    nothing = TokenBatch(token, position, sequence, np.array([], np.int32))
    assert executor.forward(nothing).shape == (0, executor.vocabulary.size)


def test_release_frees_cells(smol: Open, batch: Build) -> None:
    """A full cache is reported by its code; after a release there is room again."""
    executor = smol(cells=256, sequences=4)
    ids = (prompt(executor) * 3)[:128]
    executor.forward(batch(ids, sequence=0))
    executor.forward(batch(ids, sequence=1))
    with pytest.raises(EngineFailed, match="256 cells") as caught:
        executor.forward(batch(ids[:1], sequence=2))
    assert caught.value.code == NO_CELLS
    executor.release([1])
    assert len(executor.forward(batch(ids, sequence=2))) == len(ids)


def test_forks_share_cells_in_a_unified_cache(smol: Open, batch: Build) -> None:
    """Four sequences with one prefix fit where four copies of it would not."""
    executor = smol(cells=256, sequences=4)
    assert executor.traits.shares_cells
    ids = (prompt(executor) * 4)[:200]
    executor.forward(batch(ids, sequence=0))
    for target in (1, 2, 3):
        executor.fork(0, target, len(ids))
        executor.forward(batch(ids[:10], sequence=target, start=len(ids)))


def test_traits_are_the_configured_ones(smol: Open, kv: Kv) -> None:
    """Window, cells and sequences are the configured ones; each stream has a window."""
    traits = smol(cells=2048, sequences=4, batch=256, kv=kv).traits
    assert (traits.window, traits.cells, traits.sequences, traits.batch) == (512, 2048, 4, 256)
    assert traits.shares_cells is (kv == "unified")
    assert traits.can_trim


def test_window_is_the_models_own(smollm2: Path) -> None:
    """By default a model has the window it was trained with, and at least that many cells."""
    executor = load(smollm2, LlamaOptions(sequences=2, batch=64, threads=1))
    try:
        assert executor.traits.window == 8192
        assert executor.traits.cells >= 8192
        assert executor.cell_bytes == 30 * 3 * (64 + 64) * 2
    finally:
        executor.close()


def test_window_beyond_training_is_refused(smollm2: Path) -> None:
    """A window longer than the model was trained for is an error with both lengths."""
    with pytest.raises(Unavailable, match=r"9000.*8192"):
        load(smollm2, LlamaOptions(window=9000, sequences=1))


def test_too_long_a_batch_is_refused(smol: Open, batch: Build) -> None:
    """A batch over the limit never reaches the kernels, which would abort the process."""
    executor = smol(batch=64)
    with pytest.raises(EngineFailed, match="65"):
        executor.forward(batch([1] * 65))


def test_gap_in_positions_is_refused(smol: Open, batch: Build) -> None:
    """A batch that skips positions is an error with the kernels' own text."""
    executor = smol()
    executor.forward(batch([10, 11, 12]))
    with pytest.raises(EngineFailed, match=r"consecutive|position"):
        executor.forward(batch([13], start=7))


def test_greedy_continuation_knows_paris(chat: LlamaExecutor, batch: Build) -> None:
    """A real model, decoded greedily, knows the capital of France."""
    chat.release([0])
    ids = chat.tokenize("The capital of France is", special=False)
    answer: list[int] = []
    rows = chat.forward(batch(ids, last=True))
    for at in range(len(ids), len(ids) + 6):
        answer.append(int(rows[0].argmax()))
        rows = chat.forward(batch(answer[-1:], start=at))
    assert "Paris" in b"".join(chat.vocabulary.pieces[token] for token in answer).decode()


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "not a GGUF"), (b"PK\x03\x04 something else", "not a GGUF"), (b"GGUF\x03\0\0\0", "cannot be loaded")],
)
def test_broken_file_is_an_error(tmp_path: Path, library: Path | None, content: bytes, message: str) -> None:
    """A file that is not a model is refused with its name and the reason."""
    file = tmp_path / "broken.gguf"
    file.write_bytes(content)
    with pytest.raises(Unavailable, match=message) as caught:
        load(file, LlamaOptions(library=library))
    assert "broken.gguf" in caught.value.message


@pytest.mark.parametrize("size", [1_000, 2_000_000, 20_000_000])
def test_truncated_file_is_an_error(tmp_path: Path, library: Path | None, smollm2: Path, size: int) -> None:
    """A truncated file is refused with llama.cpp's reason, and the process continues."""
    file = tmp_path / "cut.gguf"
    with smollm2.open("rb") as source:
        file.write_bytes(source.read(size))
    with pytest.raises(Unavailable, match="cannot be loaded: ") as caught:
        load(file, LlamaOptions(library=library))
    assert "no reason given" not in caught.value.message


def test_absent_file_is_an_error(tmp_path: Path) -> None:
    """A missing file is named."""
    with pytest.raises(Unavailable, match=r"nothing\.gguf cannot be read"):
        load(tmp_path / "nothing.gguf", LlamaOptions())


def test_kernels_without_a_gpu_compute_on_the_cpu(smol: Open, library: Path | None, smollm2: Path) -> None:
    """The CPU is reported as the device, no memory of a GPU is used, and layers on a GPU are refused."""
    if any(device.is_gpu for device in kernels(library).devices):
        pytest.skip("these kernels find a GPU")
    executor = smol()
    assert (executor.traits.device, executor.device_bytes) == ("cpu", 0)
    with pytest.raises(Unavailable, match="find no GPU"):
        load(smollm2, LlamaOptions(window=512, library=library, gpu_layers=1))


def test_kernels_are_named(smol: Open, library: Path | None) -> None:
    """An executor describes its kernels."""
    assert smol().kernels == str(kernels(library))
