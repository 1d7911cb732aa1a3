"""A home folder in which a model's weights are laid out for this CPU, as `make serve` leaves them.

Where the user's own home has been through `homeport optimize` it is taken as it is. Else a folder beside it borrows the
model and the kernels by links and is optimised once, so that measuring changes nothing of the user's.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from homeport.domain.weight_layouts import ORIGINAL
from homeport.models.kernels import find_installed_kernels
from homeport.models.model_store import ModelStore

_OWN = "bench"


class LaidOut(msgspec.Struct, frozen=True):
    """Settings that serve the model so, its weights and kernels (None: the wheel's), and a line that says which."""

    settings: dict[str, str]
    weights: Path
    kernels: Path | None
    note: str


def files(home: Path, model: str) -> Mapping[str, Path]:
    """The model's files by role, as they were fetched. Raises FileNotFoundError where it is not installed."""
    found = ModelStore(home, ORIGINAL).find(model)
    if found is None:
        raise FileNotFoundError(f"{model} is not installed: run `make setup`")
    return found.files


def weights(home: Path, model: str) -> Path:
    """The model's weights, as above."""
    return files(home, model)["weights"]


def laid_out(home: Path, model: str, say: Callable[[str], None]) -> LaidOut:
    """The model with its weights laid out, done now where it was not."""
    own = home if ModelStore(home).manifest(model).layouts else home / _OWN
    if own != home:
        borrow(home, own, model)
        if not ModelStore(own).manifest(model).layouts:
            say(f"laying out the weights of {model} for this CPU, once")
            command = [sys.executable, "-m", "homeport", "optimize", model]
            subprocess.run(command, env={**os.environ, "HOMEPORT_HOME": str(own)}, check=True, stdout=sys.stderr)
    found = ModelStore(own).find(model)
    if found is None:
        raise FileNotFoundError(f"{model} went missing from {own}")
    kernels = find_installed_kernels(own)
    note = f"weights as {found.layout}, {'npm' if kernels else 'wheel'} kernels"
    return LaidOut({"HOME": str(own)}, found.files["weights"], kernels, note)


def borrow(home: Path, own: Path, model: str) -> None:
    """Link the model's files and the kernels into another home; nothing happens where they are there."""
    source, target = home / "models" / model, own / "models" / model
    own.mkdir(exist_ok=True)
    if (home / "kernels").is_dir() and not (own / "kernels").exists():
        (own / "kernels").symlink_to(home / "kernels")
    if not target.exists():
        shutil.copytree(source, target, copy_function=os.link)
        for note in target.glob("*.json"):  # a manifest that is written to must not be the user's
            copied = note.read_bytes()
            note.unlink()
            note.write_bytes(copied)
