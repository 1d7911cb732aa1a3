"""What `make setup` does in a clone that was moved or copied, or whose Python is missing."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CLONE = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="there is no make here")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone's files for setup, with an environment that looks installed, in no time."""
    made = tmp_path / "clone"
    shutil.copytree(CLONE / "scripts", made / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(CLONE / "requirements", made / "requirements")
    shutil.copy(CLONE / "Makefile", made)
    (made / "src").mkdir()
    for folder, stamps in ((".venv", (".run", ".dev")), (".venv-clients", (".clients",))):
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(made / folder)], check=True)
        (packages,) = (made / folder).glob("lib/python*/site-packages")
        (packages / "homeport.pth").write_text(f"{made}/src\n")
        for stamp in stamps:
            (made / folder / stamp).touch()
    return made


def plan(clone: Path) -> str:
    """Return what `make setup` would do."""
    command = ["make", "--dry-run", "--no-print-directory", "setup"]
    return subprocess.run(command, cwd=clone, check=True, capture_output=True, text=True).stdout


def test_what_is_set_up_is_not_set_up_again(clone: Path, tmp_path: Path) -> None:
    """A second run installs nothing, through any path to the clone; kernels are checked each time."""
    assert "scripts/environment" not in plan(clone)
    assert "kernels install --if-missing" in plan(clone)
    (tmp_path / "link").symlink_to(clone)
    assert "scripts/environment" not in plan(tmp_path / "link")


@pytest.mark.parametrize("way", ["moved", "copied", "without its Python", "without its link to the code"])
def test_stale_stamps_are_removed(clone: Path, tmp_path: Path, way: str) -> None:
    """An environment that points to another folder, or does not run, is created again."""
    other = tmp_path / "other"
    if way == "moved":
        clone.rename(other)
    elif way == "copied":
        shutil.copytree(clone, other, symlinks=True)
    else:
        clone.rename(other)
        for packages in other.glob(".venv*/lib/python*/site-packages"):
            (packages / "homeport.pth").write_text(f"{other}/src\n")
            if way != "without its Python":
                (packages / "homeport.pth").unlink()
        if way == "without its Python":
            for python in other.glob(".venv*/bin/python*"):
                python.unlink()
    made = plan(other)
    assert "scripts/environment .venv requirements/dev.txt" in made
    assert "scripts/environment .venv-clients requirements/clients.txt" in made
    if way == "copied":
        assert "scripts/environment" not in plan(clone)
