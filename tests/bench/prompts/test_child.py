import os
import threading
from pathlib import Path

import numpy as np
import psutil
import pytest

from bench.prompts import child
from bench.prompts.way import Backend, Job, Load, Way


def _logits(smollm2: Path, backend: Backend) -> "np.typing.NDArray[np.float64]":
    job = Job(Way("way", backend), str(smollm2), "", 1, (Load(8, 2),), rounds=1)
    outcome = child.measure(job)
    assert len(outcome.seconds) == 1
    assert outcome.seconds[0] > 0
    assert outcome.peak_bytes >= outcome.ready_bytes
    return np.array(outcome.logits)


def test_ways_agree_on_real_weights(smollm2: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ONNX Runtime's graph of a file gives the logits that llama.cpp gives, up to quantization."""
    monkeypatch.setattr(child, "CHECKED", 2)
    monkeypatch.setattr(child, "CHECKED_LENGTH", 24)
    theirs, ours = _logits(smollm2, "llama.cpp"), _logits(smollm2, "onnxruntime")
    assert 0 < np.sqrt(((ours - theirs) ** 2).mean()) < 0.2 * theirs.std()


def test_prompts_are_the_same_in_every_process() -> None:
    """Prompts depend on their load and seed only, and those of one load differ."""
    first, second = child.prompts(Load(5, 2), 3)
    assert (child.prompts(Load(5, 2), 3)[1] == second).all()
    assert (first != second).any()
    assert (child.prompts(Load(5, 2), 4)[0] != first).any()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="threads can be pinned on Linux only")
def test_threads_are_pinned() -> None:
    """The threads that computed most get one processor each; a pinned thread of ours is released afterwards."""
    allowed = os.sched_getaffinity(0)
    thread = threading.get_native_id()
    try:
        child.pin_threads(len(psutil.Process().threads()))
        assert len(os.sched_getaffinity(thread)) == 1
    finally:
        for each in psutil.Process().threads():
            os.sched_setaffinity(each.id, allowed)
