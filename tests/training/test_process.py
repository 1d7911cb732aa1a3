"""Training without PyTorch."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from homeport.domain.errors import Unavailable
from homeport.domain.training import TrainingSpec
from homeport.training.process import TrainingProcess

ROOMS = (
    "api",
    "app",
    "cli",
    "serving",
    "engines.text.executors.llama.training_reader",
    "training.process",
    "training.local_run",
)


def test_a_missing_extra_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without PyTorch the error names the command, before anything is written."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    job = TrainingSpec(tmp_path / "work", tmp_path / "w", "digest", "nowhere:load", tmp_path / "t")
    with pytest.raises(Unavailable, match=r"pip install 'homeport\[train\]'") as found:
        TrainingProcess(job).run(lambda _: None)
    assert found.value.code == "missing_extra"
    assert not job.folder.exists()


def test_nothing_but_the_child_imports_torch() -> None:
    """Every other room is imported without looking for PyTorch."""
    program = f"import sys; sys.modules['torch'] = None; import {', '.join(f'homeport.{room}' for room in ROOMS)}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
