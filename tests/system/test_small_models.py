"""Small GGUF files with one fault each, pulled by the real command: each is refused, or installed as what it can do."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.samples import small_ggufs


def homeport(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the program's on a data folder of its own."""
    command = [sys.executable, "-m", "homeport", *arguments, "--home", str(home)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def installed(home: Path) -> Any:
    """Return the models that `list` shows."""
    return json.loads(homeport(home, "list", "--json").stdout)["models"]


@pytest.mark.parametrize("template", [small_ggufs.TEMPLATE, small_ggufs.UNCOMPILED])
def test_a_model_is_installed_as_what_it_can_do(tmp_path: Path, template: str) -> None:
    """A whole file is installed; one whose template does not compile is installed without chat, with a warning."""
    file = small_ggufs.model(tmp_path / "small.gguf", template=template)
    pulled = homeport(tmp_path / "home", "pull", f"file:{file}")
    assert pulled.returncode == 0, pulled.stderr
    (model,) = installed(tmp_path / "home")
    works = template == small_ggufs.TEMPLATE
    assert ("chat" in json.dumps(model)) is works
    assert ("cannot be used for chat" in pulled.stderr) is not works


def test_a_broken_file_is_refused_in_one_sentence(tmp_path: Path) -> None:
    """Cut off, alone of two, or with tensors beyond it: no traceback, exit status 1, and nothing is installed."""
    files = [
        small_ggufs.cut(small_ggufs.model(tmp_path / "cut.gguf"), 1),
        small_ggufs.model(tmp_path / "alone.gguf", part=(0, 2)),
        small_ggufs.with_tensor(tmp_path / "beyond.gguf", offset=1 << 63),
    ]
    for file in files:
        pulled = homeport(tmp_path / "home", "pull", f"file:{file}")
        assert (pulled.returncode, "Traceback" in pulled.stderr) == (1, False)
        assert f"{file.name} is" in pulled.stderr.replace("\n", " ")
    assert installed(tmp_path / "home") == []
