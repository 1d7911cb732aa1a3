"""Real weights in another layout: written, loaded and compared with the original, by both sets of kernels."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from homeport.domain.errors import InvalidRequest, Unavailable
from homeport.domain.weight_layouts import LayoutBenchmarkJob
from homeport.engines.llama.library import kernels
from homeport.engines.text import executor_comparison
from homeport.engines.text.executor import TokenBatch
from homeport.engines.text.executors.llama.executor import LlamaExecutor, LlamaOptions, load
from homeport.engines.text.executors.llama.requantize import requantize
from homeport.engines.text.executors.llama.weight_layout_benchmark import run_benchmark
from tests.engines.text.executors.llama.conftest import THREADS


def test_a_wider_layout_has_the_same_logits(
    tmp_path: Path,
    library: Path | None,
    smollm2: Path,
    smol: Callable[..., LlamaExecutor],
    batch: Callable[..., TokenBatch],
) -> None:
    """Q4_1 weights written as Q8_0 load, and their logits are the original's within the kernels' rounding."""
    target = tmp_path / "q8_0.gguf"
    assert requantize(kernels(library), smollm2, target, "q8_0") == 210
    original = smol()
    ids = original.tokenize(" One, two, three, four, five, six, seven,", special=False)
    before = original.forward(batch(ids, last=True))[0].copy()
    after = load(target, LlamaOptions(window=512, cells=512, sequences=1, batch=64, threads=THREADS, library=library))
    try:
        found = after.forward(batch(ids, last=True))[0].copy()
        assert after.metadata["general.architecture"] == "llama"
    finally:
        after.close()
    assert before.argmax() == found.argmax()
    # A shift that all logits share changes nothing.
    assert (before - found).std() < 0.05 * before.std()


def test_layouts_are_measured_against_the_original(
    tmp_path: Path, smollm2: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A benchmark of one layout has both speeds, its fidelity, and a usable file."""
    monkeypatch.setattr(executor_comparison, "_WINDOWS_PER_TEXT", {"english": 1})
    source = tmp_path / smollm2.name
    source.symlink_to(smollm2)
    job = LayoutBenchmarkJob(str(source), "q8_0", rounds=1, threads=THREADS)
    reports: list[str] = []
    (trial,) = run_benchmark(job, reports.append)
    assert trial.fidelity is not None
    assert min(trial.speed.prefill, trial.original.decode_1, trial.gain) > 0
    assert trial.fidelity.divergence < 0.05
    assert trial.fidelity.agreement > 0.8
    assert abs(trial.fidelity.rise) < 0.1
    assert job.part("q8_0").stat().st_size == trial.size
    assert reports[-1] == str(trial)


def test_measuring_ends_with_its_parent(tmp_path: Path, smollm2: Path) -> None:
    """A benchmark process ends when its parent has ended, and leaves no unfinished file."""
    source = tmp_path / smollm2.name
    source.symlink_to(smollm2)
    job = msgspec.json.encode(LayoutBenchmarkJob(str(source), "q8_0", threads=THREADS, rounds=1000)).decode()
    command = [sys.executable, "-m", "homeport.engines.text.executors.llama.weight_layout_benchmark", job]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin is not None
        try:
            while not LayoutBenchmarkJob(str(source)).part("q8_0").exists():
                assert child.poll() is None
            child.stdin.close()
            assert child.wait(30) == 1
        finally:
            child.kill()
    assert [path.name for path in tmp_path.iterdir()] == [smollm2.name]


def test_unknown_layouts_and_broken_files_are_refused(tmp_path: Path, library: Path | None, smollm2: Path) -> None:
    """Unsupported layouts and files are refused by name, and leave no file."""
    loaded = kernels(library)
    with pytest.raises(InvalidRequest, match="q9_9"):
        requantize(loaded, smollm2, tmp_path / "out", "q9_9")
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF" + b"\0" * 64)
    with pytest.raises(Unavailable, match=r"broken\.gguf"):
        requantize(loaded, broken, tmp_path / "out", "q8_0")
    assert not (tmp_path / "out").exists()


def test_windows_begin_with_the_models_start(small: LlamaExecutor) -> None:
    """Each window is full, begins with the model's own start token, and all texts are used."""
    found = executor_comparison.reference_windows(small)
    assert [len(window) for window in found] == [executor_comparison.WINDOW] * 5
    assert {window[0] for window in found} == {small.vocabulary.document_token}
