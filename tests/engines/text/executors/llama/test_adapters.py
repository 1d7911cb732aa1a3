"""Adapters change the logits of their batches only, in streams and the unified cache. The model is unchanged."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest

from homeport.domain.errors import Unavailable
from homeport.engines.text.executor import Logits, TokenBatch
from homeport.engines.text.executors.llama import kv_sizing
from homeport.engines.text.executors.llama.executor import LlamaExecutor
from homeport.engines.text.executors.llama.kv_sizing import Kv
from tests.samples.tiny_adapters import adapter

Open = Callable[..., LlamaExecutor]
Build = Callable[..., TokenBatch]
TEXT = "The quick brown fox jumps over the lazy dog."


def computed(executor: LlamaExecutor, batch: TokenBatch, name: str = "") -> Logits:
    """Return the logits of a batch with an adapter; its sequences are emptied again."""
    found = executor.forward(msgspec.structs.replace(batch, adapter=name)).copy()
    executor.release(sorted(set(batch.sequences.tolist())))
    return found


@pytest.mark.parametrize("kv", ["unified", "streams"])
def test_adapters_are_loaded_and_unloaded(smol: Open, batch: Build, tmp_path: Path, kv: Kv) -> None:
    """Loaded at run time, each adapter changes its own batches only; without one the logits are as before."""
    executor = smol(kv=kv)
    ids = batch(executor.tokenize(TEXT, special=False))
    plain = computed(executor, ids)
    for name, seed in (("red", 1), ("blue", 2)):
        executor.load_adapter(name, adapter(tmp_path / name, seed))
    red, blue = computed(executor, ids, "red"), computed(executor, ids, "blue")
    assert min(np.abs(plain - red).mean(), np.abs(plain - blue).mean(), np.abs(red - blue).mean()) > 0.5
    assert (computed(executor, ids) == plain).all()
    assert (computed(executor, ids, "red") == red).all()
    executor.unload_adapter("red")
    assert (computed(executor, ids) == plain).all()
    assert (computed(executor, ids, "blue") == blue).all()


def test_a_context_supports_adapters_loaded_later(smol: Open, batch: Build, tmp_path: Path) -> None:
    """A context created before any adapter supports a dozen, one after another."""
    executor = smol()
    ids = batch(executor.tokenize(TEXT, special=False))
    plain = computed(executor, ids)
    for number in range(12):
        executor.load_adapter(str(number), adapter(tmp_path / str(number), number))
        assert np.abs(computed(executor, ids, str(number)) - plain).mean() > 0.5
    assert (computed(executor, ids) == plain).all()


def test_an_adapter_applies_in_the_unified_cache_too(
    smol: Open, batch: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sequence that outgrows its stream continues with its adapter."""
    monkeypatch.setattr(kv_sizing, "_MIN_STREAM_TOKENS", 256)
    executor = smol(kv="auto", window=512, cells=512 + 4 * 256)
    assert not executor.traits.shares_cells
    executor.load_adapter("red", adapter(tmp_path / "red", 1))
    ids = executor.tokenize(TEXT * 35, special=False)[:300]
    for at in range(0, len(ids), 100):
        part = batch(ids[at : at + 100], start=at, last=True)
        row = executor.forward(msgspec.structs.replace(part, adapter="red")).copy()
    whole = smol(cells=512)
    whole.load_adapter("red", adapter(tmp_path / "red", 1))
    for at in range(0, len(ids), 100):
        part = batch(ids[at : at + 100], start=at, last=True)
        expected = whole.forward(msgspec.structs.replace(part, adapter="red")).copy()
    assert np.abs(row - expected).mean() < 0.35


def test_an_adapter_that_does_not_fit_is_refused(smol: Open, batch: Build, tmp_path: Path) -> None:
    """An adapter of another architecture and an invalid file are refused by name; the model continues."""
    executor = smol()
    with pytest.raises(Unavailable, match="foreign"):
        executor.load_adapter("x", adapter(tmp_path / "foreign", 1, architecture="qwen2"))
    (tmp_path / "none").write_bytes(b"none")
    with pytest.raises(Unavailable, match="cannot be loaded"):
        executor.load_adapter("x", tmp_path / "none")
    assert computed(executor, batch(executor.tokenize(TEXT, special=False))).shape[0] > 5
