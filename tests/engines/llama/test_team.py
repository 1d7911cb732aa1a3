"""The kernels' threads stay between batches, whether the build keeps them or we do."""

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import psutil
import pytest
from tests import tiny_encoders as tiny

from homeport.engines.llama import encoder
from homeport.engines.llama.encoder import EncoderOptions
from homeport.engines.llama.library import Library, kernels
from homeport.engines.llama.team import Team


def threads() -> set[int]:
    """The threads of this process, by the system's numbers."""
    return {each.id for each in psutil.Process().threads()}


def test_threads_stay_from_batch_to_batch(tmp_path: Path, library: Path | None) -> None:
    """A model of three threads has two beside the caller's from its loading to its end, unless OpenMP keeps them."""
    tiny.bert(tmp_path / "tiny.gguf")
    kept = 0 if "OPENMP" in kernels(library).features else 2
    before = threads()
    model = encoder.load(tmp_path / "tiny.gguf", EncoderOptions(threads=3, library=library))
    started = threads() - before
    assert len(started) == kept
    for words in (2, 40, 60):
        model.encode([tiny.tokens(*["cat"] * words)])
        assert started <= threads()
    model.close()
    assert not started & threads()
    model.close()


def test_one_thread_needs_no_others(tmp_path: Path, library: Path | None) -> None:
    """A model of one thread starts none."""
    tiny.bert(tmp_path / "tiny.gguf")
    before = threads()
    model = encoder.load(tmp_path / "tiny.gguf", EncoderOptions(threads=1, library=library))
    model.encode([tiny.tokens("cat")])
    assert threads() == before
    model.close()


def test_kernels_without_a_known_pool_are_left_alone(library: Path | None, caplog: pytest.LogCaptureFixture) -> None:
    """Where a build gives no pool of threads, that is said once, and its contexts compute as they would."""
    real = kernels(library)
    bare = SimpleNamespace(features="AVX2", functions=real.functions, ffi=real.ffi, api=None, cpu_function=lambda _: 0)
    team = Team(cast(Library, bare), 2)
    team.attach(object())
    team.close()
    assert "no pool of threads" in caplog.text
