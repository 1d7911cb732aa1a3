"""The kernels' threads stay between batches, whether the build keeps them or we do, and as many compute as are told."""

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import psutil
import pytest

from homeport.engines.llama import encoder
from homeport.engines.llama.encoder import EncoderOptions
from homeport.engines.llama.library import LlamaLibrary, kernels
from homeport.engines.llama.threadpool import LlamaThreadpool
from tests import tiny_encoders as tiny


def threads() -> set[int]:
    """The threads of this process, by the system's numbers."""
    return {each.id for each in psutil.Process().threads()}


def test_threads_stay_from_batch_to_batch(tmp_path: Path, library: Path | None) -> None:
    """A model of three threads has two beside the caller's from its loading to its end, unless OpenMP keeps them.

    A third sees to it that they are fewer beside busy programs.
    """
    tiny.bert(tmp_path / "tiny.gguf")
    kept = 1 if "OPENMP" in kernels(library).features else 3
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
    told: list[tuple[int, ...]] = []
    api = SimpleNamespace()
    bare = SimpleNamespace(features="AVX2", functions=real.functions, ffi=real.ffi, api=api, cpu_function=lambda _: 0)
    api.llama_set_n_threads = lambda _, *counts: told.append(counts)
    team = LlamaThreadpool(cast(LlamaLibrary, bare), 2)
    assert team.prepare(object(), 0) == team.count
    assert told == [(team.count, team.count)]
    team.close()
    assert "no pool of threads" in caplog.text


class Kernels:
    """Kernels that note what they are told: with how many threads, and whether in a pool."""

    features = "AVX2"

    def __init__(self, real: LlamaLibrary) -> None:
        self.ffi, self.functions, self.api = real.ffi, real.functions, self
        self.told: list[str] = []

    def cpu_function(self, name: str) -> int:
        """Stands in for a function's address."""
        pool = self.ffi.cast("void *", 64)
        make = self.ffi.callback("void *(void *)", lambda _: pool)
        free = self.ffi.callback("void (void *)", lambda _: self.told.append("free"))
        self._kept = [*getattr(self, "_kept", []), make, free]
        return int(self.ffi.cast("uintptr_t", free if "free" in name else make))

    def llama_set_n_threads(self, _context: object, threads: int, of_batches: int) -> None:
        """Stands in for llama.cpp's."""
        self.told.append(f"{threads} {of_batches}")

    def llama_attach_threadpool(self, _context: object, _pool: object, _of_batches: object) -> None:
        """Stands in for llama.cpp's."""
        self.told.append("attach")

    def llama_detach_threadpool(self, _context: object) -> None:
        """Stands in for llama.cpp's."""
        self.told.append("detach")


def test_contexts_are_told_of_changes_alone(monkeypatch: pytest.MonkeyPatch, library: Path | None) -> None:
    """A context hears how many threads compute when that changes; one thread leaves the pool asleep."""
    now = SimpleNamespace(count=3, close=lambda: None)
    monkeypatch.setattr("homeport.engines.llama.threadpool.Monitor", lambda _: now)
    made = Kernels(kernels(library))
    team = LlamaThreadpool(cast(LlamaLibrary, made), 3)
    threads = 0
    for now.count in (3, 3, 1, 1, 2, 3):
        threads = team.prepare(object(), threads)
        assert threads == now.count
    assert made.told == ["3 3", "attach", "1 1", "detach", "2 2", "attach", "3 3", "attach"]
    team.close()
    assert made.told[-1] == "free"
