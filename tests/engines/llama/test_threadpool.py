"""The kernels' threads stay between batches, and the current number of them computes."""

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import psutil
import pytest

from homeport.engines.llama import encoder
from homeport.engines.llama.encoder import EncoderOptions
from homeport.engines.llama.library import LlamaLibrary, kernels
from homeport.engines.llama.threadpool import LlamaThreadpool
from tests.samples import tiny_encoders as tiny


def threads() -> set[int]:
    """Return the threads of this process, by the system's numbers."""
    return {each.id for each in psutil.Process().threads()}


def test_threads_stay_from_batch_to_batch(tmp_path: Path, library: Path | None) -> None:
    """A model with three threads keeps two besides the caller's until it is closed, unless OpenMP keeps them.

    A third thread monitors the processors.
    """
    tiny.bert(tmp_path / "tiny.gguf")
    n_kept = 1 if "OPENMP" in kernels(library).features else 3
    before = threads()
    model = encoder.load(tmp_path / "tiny.gguf", EncoderOptions(threads=3, library=library))
    started = threads() - before
    assert len(started) == n_kept
    for words in (2, 40, 60):
        model.encode([tiny.tokens(*["cat"] * words)])
        assert started <= threads()
    model.close()
    assert not started & threads()
    model.close()


def test_one_thread_needs_no_others(tmp_path: Path, library: Path | None) -> None:
    """A model with one thread starts none."""
    tiny.bert(tmp_path / "tiny.gguf")
    before = threads()
    model = encoder.load(tmp_path / "tiny.gguf", EncoderOptions(threads=1, library=library))
    model.encode([tiny.tokens("cat")])
    assert threads() == before
    model.close()


def test_kernels_without_a_known_pool_are_left_alone(library: Path | None, caplog: pytest.LogCaptureFixture) -> None:
    """If a build has no known thread pool, that is logged once, and its contexts compute as usual."""
    real = kernels(library)
    calls: list[tuple[int, ...]] = []
    api = SimpleNamespace()
    bare = SimpleNamespace(features="AVX2", functions=real.functions, ffi=real.ffi, api=api, cpu_function=lambda _: 0)
    api.llama_set_n_threads = lambda _, *counts: calls.append(counts)
    threadpool = LlamaThreadpool(cast(LlamaLibrary, bare), 2)
    assert threadpool.prepare(object(), 0) == threadpool.count
    assert calls == [(threadpool.count, threadpool.count)]
    threadpool.close()
    assert "no known thread pool" in caplog.text


class Kernels:
    """Kernels that record calls: the number of threads, and the use of a pool."""

    features = "AVX2"

    def __init__(self, real: LlamaLibrary) -> None:
        self.ffi, self.functions, self.api = real.ffi, real.functions, self
        self.calls: list[str] = []

    def cpu_function(self, name: str) -> int:
        """Replaces the lookup of a function's address."""
        pool = self.ffi.cast("void *", 64)
        make = self.ffi.callback("void *(void *)", lambda _: pool)
        free = self.ffi.callback("void (void *)", lambda _: self.calls.append("free"))
        self._kept = [*getattr(self, "_kept", []), make, free]
        return int(self.ffi.cast("uintptr_t", free if "free" in name else make))

    def llama_set_n_threads(self, _context: object, threads: int, of_batches: int) -> None:
        """Replaces llama.cpp's function."""
        self.calls.append(f"{threads} {of_batches}")

    def llama_attach_threadpool(self, _context: object, _pool: object, _of_batches: object) -> None:
        """Replaces llama.cpp's function."""
        self.calls.append("attach")

    def llama_detach_threadpool(self, _context: object) -> None:
        """Replaces llama.cpp's function."""
        self.calls.append("detach")


def test_contexts_get_changes_only(monkeypatch: pytest.MonkeyPatch, library: Path | None) -> None:
    """A context gets the number of threads when it changes; with one thread the pool sleeps."""
    now = SimpleNamespace(count=3, close=lambda: None)
    monkeypatch.setattr("homeport.engines.llama.threadpool.ProcessorMonitor", lambda *_: now)
    recording = Kernels(kernels(library))
    threadpool = LlamaThreadpool(cast(LlamaLibrary, recording), 3)
    threads = 0
    for now.count in (3, 3, 1, 1, 2, 3):
        threads = threadpool.prepare(object(), threads)
        assert threads == now.count
    assert recording.calls == ["3 3", "attach", "1 1", "detach", "2 2", "attach", "3 3", "attach"]
    threadpool.close()
    assert recording.calls[-1] == "free"
